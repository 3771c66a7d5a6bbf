//go:build linux

package conformance

import (
	"strings"
	"syscall"

	"github.com/afterlock/afterlock/internal/upstream"
)

// cloneflags are those of a process there.
func (w Where) cloneflags() uintptr {
	return map[Where]uintptr{Mounts: syscall.CLONE_NEWNS, PIDs: syscall.CLONE_NEWPID}[w]
}

// A together runs upstream's code as a process within this operating system
// process, where ours are: one that is in the table, and shares its POSIX locks.
type together struct {
	coroutine
	rechecks bool
	process  **upstream.Process // for all of them; anew after a crash
}

func (c *together) start(p *process) (stop, error) {
	caller := &child{job: p.job(c.rechecks), talk: func(at stop) turn {
		p.pause(at)
		return p.turn()
	}}
	return c.run(p, func() {
		p.bad = caller.live(upstream.Options{Process: *c.process, Descriptor: p.holds}).Error()
	})
}

// holds keeps account of what upstream's code has open.
func (p *process) holds(name string, fd int, open bool) {
	switch {
	case !open:
		p.closed(fd)
	case strings.HasPrefix(name, lockPrefix):
		p.opened(fd, lockKind, 0)
		p.inode, p.named = p.world.inodeOf(fd), name
	default:
		p.opened(fd, entryKind, 0)
	}
}
