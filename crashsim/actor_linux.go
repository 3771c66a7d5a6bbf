package crashsim

import (
	"errors"
	"iter"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// errKilled ends the program of an actor that is killed, by a panic that runs
// through the library. Deferred calls of the library reach a dead kernel.
var errKilled = errors.New("killed")

// An actor is one process that runs a program: the library, and what a store
// does around it. It stops before every call, as a coroutine, if it is
// scheduled; else it runs through.
type actor struct {
	name    byte // in schedules
	process *disk.Process
	kernel  kernel.Kernel
	root    *tempdir.Root
	program func(*actor) error
	listen  func(call string, err error) // hears of every call; may be nil
	watch   Watcher                      // hears of the library's; may be nil

	next    func() (struct{}, bool)
	stop    func()
	more    bool // the coroutine goes on after this run
	yield   func(struct{}) bool
	pending string       // the call that it stops before
	call    *kernel.Call // the same, if the library makes it
	status  status
	err     error
	history uint64 // hash of what its calls returned
	ids     []identity
	numbers []uint64   // inode numbers that it has seen
	fails   unix.Errno // of the next call
	failed  bool       // a call was made to fail
}

type status uint8

const (
	idle status = iota
	running
	finished
	dying // is to end at the call that it stops before
	dead
)

// An identity is the id that the library drew and the one that it has here. Ids
// are random; here they are numbered, so that equal programs leave equal trees.
type identity struct{ drawn, here string }

var _ kernel.Hook = (*actor)(nil)

// newActor starts a process on the disk and opens the root in it. The names of
// its ids have number in them.
func newActor(d *disk.Disk, name byte) (*actor, error) {
	a := &actor{name: name, process: d.Process()}
	a.kernel = kernel.Around(a.process, a)
	return a, a.open()
}

// open opens the root, as the first thing that the process does.
func (a *actor) open() (err error) {
	a.process.Restart(0)
	a.fails, a.status, a.yield = 0, idle, nil
	a.root, err = tempdir.Open("/"+rootName, kernel.With[tempdir.Option](a.kernel), tempdir.OrphanGrace(0))
	return err
}

// reset makes the process one that has done nothing but open the root.
func (a *actor) reset() {
	a.status, a.err, a.history, a.call = idle, nil, 0, nil
	a.fails, a.failed = 0, false
	a.ids, a.numbers, a.pending = a.ids[:0], a.numbers[:0], ""
}

// start runs the program to its first call. The coroutine, with the stack that
// it has grown, is used for all of the actor's runs.
func (a *actor) start() {
	a.status, a.more = running, true
	if a.next == nil {
		a.next, a.stop = iter.Pull(func(yield func(struct{}) bool) {
			for a.more {
				a.yield = yield
				a.err = a.run()
				if a.status == running {
					a.status = finished
				}
				a.yield = nil
				if !yield(struct{}{}) {
					return
				}
			}
		})
	}
	a.next()
}

// end ends the coroutine.
func (a *actor) end() {
	a.abandon()
	if a.stop != nil {
		a.more = false
		a.stop()
		a.next, a.stop = nil, nil
	}
}

// run runs the program through, or until it is killed.
func (a *actor) run() (err error) {
	defer func() {
		if r := recover(); r != nil {
			if r != any(errKilled) {
				panic(r)
			}
			err = errKilled
		}
	}()
	return a.program(a)
}

// step makes the pending call and runs to the next one.
func (a *actor) step() { a.next() }

// kill ends the process before its pending call.
func (a *actor) kill() {
	a.abandon()
	a.process.Kill()
	a.status = dead
	if a.watch != nil {
		a.watch.Killed()
	}
}

// abandon ends the program where it is, without another call.
func (a *actor) abandon() {
	if a.status == running && a.yield != nil {
		a.status = dying
		a.next()
		a.status, a.call = dead, nil
	}
}

// point is a moment before a call. The text is made only if somebody hears it.
func (a *actor) point(method, name string) error {
	if a.status == dead {
		return unix.ESRCH
	}
	if a.yield != nil {
		a.pending = method
		if !a.yield(struct{}{}) || a.status == dying {
			a.status = dead
			panic(errKilled)
		}
	}
	if a.fails != 0 {
		errno := a.fails
		a.fails = 0
		return errno
	}
	return nil
}

// mix spreads the bits of x (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// text hashes a string (FNV-1a).
func text(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
