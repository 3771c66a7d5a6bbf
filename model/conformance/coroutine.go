//go:build linux

package conformance

import (
	"fmt"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// A coroutine runs a process within this operating system process: a switch
// costs a fraction of a system call. Locks of open file descriptions exclude
// coroutines from each other as they exclude processes.
type coroutine struct {
	next func() (stop, bool)
	end  func()
}

// killed ends the coroutine of a process that is killed.
type killed struct{}

func (c *coroutine) start(p *process) (stop, error) { return c.run(p, p.live) }

// run is start for a process with this life.
func (c *coroutine) run(p *process, live func()) (stop, error) {
	p.pid = os.Getpid()
	c.next, c.end = iter.Pull(func(yield func(stop) bool) {
		p.yield = yield
		defer func() {
			switch r := recover(); r {
			case nil, killed{}:
			default:
				p.bad = fmt.Sprintf("panic: %v", r)
			}
		}()
		live()
	})
	return c.resume(p)
}

func (c *coroutine) resume(p *process) (stop, error) {
	at, ok := c.next()
	if p.bad != "" {
		return at, fmt.Errorf("%s: %s", p.name, p.bad)
	}
	if !ok {
		return at, fmt.Errorf("%s has ended", p.name)
	}
	return at, nil
}

// pause stands still until the scheduler lets the process go on.
func (p *process) pause(at stop) {
	if !p.yield(at) {
		p.dead = true
		panic(killed{})
	}
}

// kill ends the coroutine where it stands. Nothing of it runs any more: the
// calls that its unwinding tries to make are refused. Its descriptors are closed
// as the kernel would.
func (c *coroutine) kill(p *process) {
	if c.end == nil {
		return
	}
	p.dead = true
	p.lives++
	c.end()
	c.end = nil
	for _, d := range p.open {
		_ = unix.Close(d.Fd)
	}
	p.open, p.lock = p.open[:0], -1
}
