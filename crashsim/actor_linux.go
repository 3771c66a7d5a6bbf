package crashsim

import (
	"errors"
	"fmt"
	"iter"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/seam"
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
	kernel  tempdir.Kernel
	root    *tempdir.Root
	program func(*actor) error
	listen  func(call string, err error) // hears of every call; may be nil

	next    func() (struct{}, bool)
	stop    func()
	more    bool // the coroutine goes on after this run
	yield   func(struct{}) bool
	pending string     // the call that it stops before
	call    *seam.Call // the same, if the library makes it
	status  status
	err     error
	history uint64 // hash of what its calls returned
	ids     []identity
	numbers []uint64 // inode numbers that it has seen
	limit   int      // calls until it dies, 0: none
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

var _ seam.Hook = (*actor)(nil)

// newActor starts a process on the disk and opens the root in it. The names of
// its ids have number in them.
func newActor(d *disk.Disk, name byte, wrap func(tempdir.Kernel) tempdir.Kernel) (*actor, error) {
	a := &actor{name: name, process: d.Process()}
	a.kernel = seam.Around(a.process, a)
	if wrap != nil {
		a.kernel = wrap(a.kernel)
	}
	var err error
	a.root, err = tempdir.Open("/"+rootName, tempdir.WithKernel(a.kernel))
	return a, err
}

// reset makes the process one that has done nothing but open the root.
func (a *actor) reset() {
	a.status, a.err, a.history, a.limit, a.call = idle, nil, 0, 0, nil
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
	if a.limit > 0 {
		if a.limit--; a.limit == 0 {
			a.status = dead
			panic(errKilled)
		}
	}
	return nil
}

// note mixes something that the program saw into its history.
func (a *actor) note(x uint64) { a.history = mix(a.history ^ x) }

func (a *actor) noteErr(err error) {
	if errno, ok := err.(unix.Errno); ok {
		a.note(uint64(errno))
	} else {
		a.note(0)
	}
}

// Before stops before the call, and puts ids in place of the drawn ones.
func (a *actor) Before(c *seam.Call) error {
	if c.Method != seam.OpenRoot {
		a.call = c
		err := a.point(c.Method.String(), c.Name)
		a.call = nil
		if err != nil {
			return err
		}
	}
	c.Name, c.To = a.identify(c.Name), a.identify(c.To)
	return nil
}

// After notes what the call returned.
func (a *actor) After(c *seam.Call) {
	a.noteErr(c.Err)
	switch c.Method {
	case seam.Stat, seam.StatName:
		a.note(uint64(c.Attributes.Links) | uint64(c.Attributes.Mode)<<32)
		a.note(a.number(c.Attributes.Inode))
	case seam.List:
		for _, e := range c.Entries[len(c.Entries)-c.Appended:] {
			a.note(text(e.Name) ^ uint64(e.Type))
		}
	default:
		a.note(uint64(c.Result) + uint64(c.Method)<<32)
	}
	if a.listen != nil {
		a.listen(describe(c), c.Err)
	}
}

// number is an inode number by the order in which the program saw it: it only
// compares them.
func (a *actor) number(inode uint64) uint64 {
	for i, seen := range a.numbers {
		if seen == inode {
			return uint64(i)
		}
	}
	a.numbers = append(a.numbers, inode)
	return uint64(len(a.numbers))
}

const (
	idLength = 32
	idZeros  = "000000000000000000000000"
)

// identify replaces an id that the library drew in a name or a path.
func (a *actor) identify(name string) string {
	at := strings.Index(name, lockPrefix)
	if at >= 0 {
		at += len(lockPrefix)
	} else if at = strings.Index(name, dataPrefix); at >= 0 {
		at += len(dataPrefix)
	}
	if at < 0 || len(name) < at+idLength || strings.HasPrefix(name[at:], idZeros) {
		return name
	}
	drawn := name[at : at+idLength]
	for _, id := range a.ids {
		if id.drawn == drawn {
			return name[:at] + id.here + name[at+idLength:]
		}
	}
	here := fmt.Sprintf("%s%04x%04x", idZeros, a.name, len(a.ids)+1)
	a.ids = append(a.ids, identity{drawn, here})
	return name[:at] + here + name[at+idLength:]
}

// says is an error's text, with the ids that it has here.
func (a *actor) says(err error) string {
	words := err.Error()
	for _, id := range a.ids {
		words = strings.ReplaceAll(words, id.drawn, id.here)
	}
	return words
}

// do is a call of the store itself.
func (a *actor) do(method, path string, call func() error) error {
	if err := a.point(method, path); err != nil {
		return err
	}
	err := call()
	a.noteErr(err)
	if a.listen != nil {
		a.listen(method+" "+path, err)
	}
	return err
}

func (a *actor) save(path, content string) error {
	return a.do("Save "+content, path, func() error { return a.process.Save(path, content) })
}

func (a *actor) forget(path string) error {
	return a.do("Remove", path, func() error { return a.process.Remove(path) })
}

func (a *actor) sync(path string) error {
	return a.do("Sync", path, func() error { return a.process.Sync(path) })
}

func (a *actor) mkdir(path string) error {
	return a.do("Mkdir", path, func() error { return a.process.Mkdir(path) })
}

func (a *actor) create(path string) error {
	return a.do("Create", path, func() error { return a.process.Make(path, 0, "") })
}

// read returns what a file contains, or an error.
func (a *actor) read(d *disk.Disk, path string) (content string, err error) {
	err = a.do("Read", path, func() error {
		n, err := a.process.Lookup(path)
		if err == nil {
			content = string(d.Content(n))
		}
		return err
	})
	a.note(text(content))
	return content, err
}

// describe is a call in words.
func describe(c *seam.Call) string {
	words := []string{c.Method.String()}
	if c.Name != "" {
		words = append(words, c.Name)
	}
	if c.To != "" {
		words = append(words, "to", c.To)
	}
	switch {
	case c.Method == seam.List:
		var names []string
		for _, e := range c.Entries[len(c.Entries)-c.Appended:] {
			names = append(names, e.Name)
		}
		words = append(words, "→ ["+strings.Join(names, " ")+"]")
	case c.Result >= 0:
		words = append(words, fmt.Sprintf("→ %d", c.Result))
	case c.Fd >= 0:
		words = append(words, fmt.Sprintf("of %d", c.Fd))
	}
	return strings.Join(words, " ")
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
