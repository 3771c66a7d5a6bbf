//go:build linux

package conformance

import (
	"fmt"
	"iter"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/seam"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/tempdir"
)

// A process is a logical process: a caller of the library (caller.go) with a
// root of its own, which stops before every system call that is the first of an
// action of the specification, until the scheduler lets it go. Locks belong to
// open file descriptions, so that logical processes exclude each other as
// operating system processes do.
//
// It is a coroutine: a switch costs a fraction of a system call, and nothing
// runs but what the scheduler lets go.
type process struct {
	name    string
	number  model.Proc
	creator bool
	path    string         // by which it knows the root
	kernel  tempdir.Kernel // what the hook is around
	world   *world

	next  func() (stop, bool)
	end   func()
	yield func(stop) bool
	at    stop // where it stands
	dead  bool

	// What the caller does next, and how its next calls go.
	order order
	grant grant

	open   []descriptor
	lock   int    // descriptor of the lock file, or -1
	inode  uint64 // of it
	staged bool   // the instance reserved an entry, and Close will open the data directory
	broken unix.Errno
	hides  bool // the rest of the data directory is not listed
	failed bool // a call of the operation failed
	bad    string

	watch func(*process, *seam.Call) // hears of each call, for Replay
}

// A place is where a process stands.
type place uint8

const (
	atCall  place = iota // before the system call method
	atIdle               // between operations, without an instance
	atLive               // between operations, with an instance
	atReply              // an operation has responded
)

// A stop is where a process stands, and what it is about to do.
type stop struct {
	place  place
	method seam.Method
	name   string // of the call: a name in the root, or a victim
	to     string
	fd     int
	reply  model.PC // at atReply: OK, Missing, Lost or Failed
	err    error    // what the caller was told, at atReply and atIdle
}

func (s stop) String() string {
	switch s.place {
	case atIdle:
		return "between operations, without an instance"
	case atLive:
		return "between operations, with an instance"
	case atReply:
		return fmt.Sprintf("response %q (error: %v)", model.PCName(s.reply), s.err)
	}
	text := s.method.String()
	if s.name != "" {
		text += " " + s.name
	}
	return text
}

// A grant says how the calls go that a process makes until its next stop.
type grant struct {
	errno   unix.Errno  // a call fails with this, or 0
	failing seam.Method // which
	show    model.Item  // List shows only this tree's entry of the data directory
	through bool        // opening, listing and removing the data directory are one step
}

// A descriptor is one that the process has open.
type descriptor struct {
	fd   int
	kind kind
	item model.Item // of an entry
}

// A kind is what a descriptor is of.
type kind uint8

const (
	rootKind    kind = iota
	listingKind      // the root once more, to list it
	lockKind
	dataKind
	entryKind
)

// killed ends the coroutine of a process that is killed.
type killed struct{}

// start starts the process, which then stands between operations.
func (p *process) start() error {
	p.dead, p.lock, p.failed, p.bad = false, -1, false, ""
	p.broken, p.hides = 0, false
	p.grant = grant{}
	p.next, p.end = iter.Pull(p.body)
	return p.resume()
}

func (p *process) body(yield func(stop) bool) {
	p.yield = yield
	defer func() {
		switch r := recover(); r {
		case nil, killed{}:
		default:
			p.bad = fmt.Sprintf("panic: %v", r)
		}
	}()
	p.live()
}

// resume lets the process go on to its next stop.
func (p *process) resume() error {
	at, ok := p.next()
	if p.bad != "" {
		return fmt.Errorf("%s: %s", p.name, p.bad)
	}
	if !ok {
		return fmt.Errorf("%s has ended", p.name)
	}
	p.at = at
	return nil
}

// pause stands still until the scheduler lets the process go on.
func (p *process) pause(at stop) {
	if !p.yield(at) {
		p.dead = true
		panic(killed{})
	}
}

// kill ends the process where it stands. Nothing of it runs any more: the calls
// that its unwinding tries to make are refused. Its descriptors are closed as
// the kernel would.
func (p *process) kill() {
	if p.end == nil {
		return
	}
	p.dead = true
	p.end()
	p.end = nil
	for _, d := range p.open {
		_ = unix.Close(d.fd)
	}
	p.open, p.lock = p.open[:0], -1
}

func (p *process) opened(fd int, k kind, item model.Item) {
	p.open = append(p.open, descriptor{fd, k, item})
	if k == lockKind {
		p.lock = fd
	}
}

func (p *process) closed(fd int) {
	for i, d := range p.open {
		if d.fd == fd {
			p.open[i] = p.open[len(p.open)-1]
			p.open = p.open[:len(p.open)-1]
			break
		}
	}
	if p.lock == fd {
		p.lock = -1
	}
}
