//go:build linux

package conformance

import (
	"fmt"
	"os"
	"strings"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir"
)

// A forkedLibrary runs a process of ours as an operating system process of its
// own, so that it is the kernel that closes its descriptors when it is killed.
// The process (coroutine, hook, caller) is the same; it lives in the child, and
// what the scheduler and the observer need of it is kept equal here.
type forkedLibrary struct{ forked }

// An intention is what the scheduler wants of the process: its turn.
type intention struct {
	Order    order
	Grant    grant
	Free     bool
	Swept    bool
	Expected int // tempdir.Outcome, which writes itself as text
	Adopts   bool

	// What the observer knows by now.
	IDs     [idCount]string
	Lock    [idCount]uint64
	Data    [idCount]uint64
	Trees   [itemCount]uint64 // inode numbers
	Entries [itemCount]string
}

// A standing is where the process stands, and what it has open.
type standing struct {
	At    stop
	Grant grant // without the errno, if the call that was to fail has failed
	Bad   string

	Lock   int
	Inode  uint64
	Named  string
	Owns   string
	Staged bool
	Swept  bool
	Open   []descriptor
}

func (f *forkedLibrary) start(p *process) (stop, error) {
	if err := f.fork(p, job{Dir: p.world.dir, Root: p.path, Homes: p.world.homes, Names: p.world.itemNames, Files: p.world.files,
		Victims: p.world.victims, TmpFile: p.world.tmpFile, Creator: p.creator, Library: true}); err != nil {
		return stop{}, err
	}
	return f.stands(p)
}

func (f *forkedLibrary) resume(p *process) (stop, error) {
	if f.present == nil {
		return stop{}, fmt.Errorf("%s has ended", p.name)
	}
	w := p.world
	i := intention{Order: p.order, Grant: p.grant, Free: p.free, Swept: p.swept, Expected: int(p.expected), Adopts: p.adopts,
		IDs: w.ids, Lock: w.seen.lock, Data: w.seen.data, Entries: w.seen.entry}
	for x := range w.trees {
		i.Trees[x] = w.trees[x].inode
	}
	if err := f.present.Send(i); err != nil {
		return stop{}, fmt.Errorf("%s does not listen: %w", p.name, err)
	}
	return f.stands(p)
}

// stands waits until the process stands.
func (f *forkedLibrary) stands(p *process) (stop, error) {
	var s standing
	if err := f.read(p, &s); err != nil {
		return stop{}, err
	}
	p.lock, p.inode, p.named, p.owns, p.staged, p.swept = s.Lock, s.Inode, s.Named, s.Owns, s.Staged, s.Swept
	p.grant, p.open = s.Grant, s.Open
	if s.Bad != "" {
		return s.At, fmt.Errorf("%s: %s", p.name, s.Bad)
	}
	return s.At, nil
}

func (f *forkedLibrary) kill(p *process) {
	f.forked.kill(p)
	p.open = p.open[:0]
}

// serveLibrary is the process, seen from inside.
func serveLibrary(c *child) {
	w := &world{dir: c.Dir, tmpFile: c.TmpFile, files: c.Files, victims: c.Victims, homes: c.Homes, itemNames: c.Names, remote: true}
	p := &process{name: "child", creator: c.Creator, path: c.Root, world: w, lock: -1, runner: new(coroutine)}
	err := p.start()
	for {
		s := standing{At: p.at, Grant: p.grant, Bad: errorText(err), Lock: p.lock, Inode: p.inode, Named: p.named, Owns: p.owns,
			Staged: p.staged, Swept: p.swept, Open: p.open}
		var i intention
		if proc.Parent.Send(s) != nil || proc.Parent.Receive(&i) != nil {
			return // without a parent there is nothing to do
		}
		p.order, p.grant = i.Order, i.Grant
		p.free, p.swept, p.expected, p.adopts = i.Free, i.Swept, tempdir.Outcome(i.Expected), i.Adopts
		w.ids, w.seen.lock, w.seen.data, w.seen.entry = i.IDs, i.Lock, i.Data, i.Entries
		for x := range i.Trees {
			w.trees[x].inode = i.Trees[x]
		}
		err = p.resume()
	}
}

// holdsLock says whether the lock of the file that the process has open belongs
// to its own open file description, by the kernel's account of it.
func (p *process) holdsLock() (bool, error) {
	if !p.forked {
		other, _, err := lockedFor(p.lock)
		return !other, err
	}
	info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", p.pid, p.lock))
	return strings.Contains(string(info), "OFDLCK"), err
}
