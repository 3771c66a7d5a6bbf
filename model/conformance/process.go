//go:build linux

package conformance

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/tempdir"
)

// A process is a logical process: a caller of the library (caller.go) with a
// root of its own, which stops before every system call that is the first of an
// action of the specification, until the scheduler lets it go. Locks belong to
// open file descriptions, so that logical processes exclude each other as
// operating system processes do.
//
// Nothing runs but what the scheduler lets go. Who runs it is up to its runner.
type process struct {
	name      string
	number    model.Proc
	creator   bool
	inspector bool          // it lists, and does not recover
	path      string        // by which it knows the root
	kernel    kernel.Kernel // what the hook is around
	world     *world

	runner runner
	yield  func(stop) bool
	at     stop // where it stands
	dead   bool
	lives  int // that it has had: a parked descriptor of a former one may be asked for

	// What the caller does next, and how its next calls go.
	order order
	grant grant

	open     []descriptor
	root     int             // descriptor of the root
	lock     int             // descriptor of the lock file, or -1
	inode    uint64          // of it
	named    string          // the name by which it opened it, or that it gave it
	pid      int             // of the operating system process
	staged   bool            // the instance reserved an entry, and Close will open the data directory
	broken   unix.Errno      // with which the call goes on failing that was made to fail
	hides    bool            // the rest of the data directory is not listed
	owns     string          // id of its instance, as it was told
	because  []error         // what the operation's error has to match, because a call failed
	swept    bool            // a stranger took its instance away
	expected tempdir.Outcome // what Recover has to report
	shows    tempdir.State   // what Instances has to show, or 0
	adopts   bool            // it came to the id by its data alone
	free     bool            // it stops between operations only
	unjudged bool            // whether its caller is told an error is not compared with what failed
	gaveUp   string          // why the code did not go on, as it found out last
	bad      string

	mutant   func(kernel.Kernel) kernel.Kernel // of the tests: what its code does that ours does not
	upstream bool                              // it runs upstream's code
	mixed    bool                              // some others do
	grace    time.Duration                     // of rule 13

	watch func(*process, *kernel.Call) // hears of each call, for Replay
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
	Place     place
	Call      string // the method of the kernel, or the action that upstream's code takes
	Name      string // of the call: a name in the root, or a victim
	Fd        int
	Reply     model.PC // at atReply: OK, Missing, Lost or Failed
	Err       string   // what the caller was told, at atReply and atIdle
	Committed bool     // it was told that the addition is committed already
}

func (s stop) String() string {
	switch s.Place {
	case atIdle:
		return "between operations, without an instance"
	case atLive:
		return "between operations, with an instance"
	case atReply:
		return fmt.Sprintf("response %q (error: %s)", model.PCName(s.Reply), cmp.Or(s.Err, "none"))
	}
	return strings.TrimSpace(s.Call + " " + s.Name)
}

// A grant says how the calls go that a process makes until its next stop.
type grant struct {
	Errno   unix.Errno    // a call fails with this, or 0
	Failing kernel.Method // which
	Show    model.Item    // List shows only this tree's entry of the data directory
	Through bool          // opening, listing and removing the data directory are one step
}

// A descriptor is one that the process has open.
type descriptor struct {
	Fd   int
	Kind kind
	Item model.Item // of an entry
}

// A kind is what a descriptor is of.
type kind uint8

const (
	rootKind    kind = iota
	listingKind      // the root once more, to list it
	lockKind
	parkedKind // a lock file that this operating system process holds by POSIX (rule 15)
	dataKind
	entryKind
)

// A runner makes a process go from stop to stop.
type runner interface {
	// start starts the process, and returns where it stands first.
	start(p *process) (stop, error)
	// resume lets it go on to its next stop.
	resume(p *process) (stop, error)
	// kill ends it where it stands, as SIGKILL does.
	kill(p *process)
}

// start starts the process, which then stands between operations.
func (p *process) start() (err error) {
	p.dead, p.lock, p.because, p.bad, p.gaveUp, p.owns = false, -1, nil, "", "", ""
	p.broken, p.hides, p.free = 0, false, false
	p.grant = grant{}
	p.kernel = kernel.Around(kernel.Linux(), &hook{p, p.lives})
	if p.mutant != nil {
		p.kernel = p.mutant(p.kernel)
	}
	p.at, err = p.runner.start(p)
	return err
}

// resume lets the process go on to its next stop.
func (p *process) resume() (err error) {
	p.at, err = p.runner.resume(p)
	return err
}

// kill ends the process where it stands.
func (p *process) kill() { p.runner.kill(p) }

// lockPath is a path to the lock file that the process has open.
func (p *process) lockPath() string { return fmt.Sprintf("/proc/%d/fd/%d", p.pid, p.lock) }

func (p *process) opened(fd int, k kind, item model.Item) {
	p.open = append(p.open, descriptor{fd, k, item})
	if k == lockKind {
		p.lock = fd
	}
}

func (p *process) closed(fd int) {
	for i, d := range p.open {
		if d.Fd == fd {
			p.open[i] = p.open[len(p.open)-1]
			p.open = p.open[:len(p.open)-1]
			break
		}
	}
	if p.lock == fd {
		p.lock = -1
	}
}
