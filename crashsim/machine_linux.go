package crashsim

import (
	"context"
	"io/fs"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// A machine is one disk with the scenario's tree, and the actors on it.
type machine struct {
	scenario *Scenario
	disk     *disk.Disk
	base     disk.Tree
	actors   []*actor
	rootNode int32
}

// newMachine lays the scenario out and opens the root in every process.
func newMachine(s *Scenario, options disk.Options, names []byte, programs []func(*actor) error) (*machine, error) {
	w := &machine{scenario: s, disk: disk.New(options)}
	if err := s.setup(w.disk.Process()); err != nil {
		return nil, err
	}
	w.rootNode = w.disk.Find(w.disk.Root(), rootName)
	for i, program := range programs {
		a, err := newActor(w.disk, names[i])
		if err != nil {
			return nil, err
		}
		a.program = program
		if s.Named {
			// A root finds out once that unnamed files do not work.
			if err := warm(a); err != nil {
				return nil, err
			}
		}
		w.actors = append(w.actors, a)
	}
	w.disk.Freeze(&w.base)
	return w, nil
}

func warm(a *actor) error {
	dir, err := a.root.Create()
	if err != nil {
		return err
	}
	return dir.Close(context.Background())
}

// options are what the scenario's disks are like.
func (s *Scenario) options() disk.Options {
	return disk.Options{Ordered: !s.syncs("data"), NoUnnamed: s.Named, Batch: s.Batch}
}

// reset puts the disk into the state t, with processes that have done nothing
// but open the root.
func (w *machine) reset(t *disk.Tree) error {
	for _, a := range w.actors {
		a.abandon()
		if a.failed { // its root may have concluded something from that
			if err := a.open(); err != nil {
				return err
			}
		}
		a.reset()
	}
	w.disk.Restore(t, 1)
	for _, a := range w.actors {
		if a.process.Open() == 0 {
			if _, _, err := a.process.OpenRoot("/" + rootName); err != nil {
				return err
			}
		}
	}
	return nil
}

// guard checks what a change does to an instance: only who holds the lock of
// its lock file may change it. It returns nothing if all is well.
func (w *machine) guard(c *disk.Change) []world.Finding {
	var findings []world.Finding
	for _, name := range [2]disk.Name{c.From, c.To} {
		id, lock := w.instance(name)
		if id == "" || c.Kind == disk.Sync {
			continue
		}
		node := w.disk.Find(w.rootNode, lockPrefix+id)
		if lock {
			node = c.Node
		}
		if lock && c.Kind == disk.Link && (w.scenario.Named || w.failed(c.Process)) {
			continue // locked next, and rechecked
		}
		path := rootName + "/" + dataPrefix + id
		if lock {
			path = rootName + "/" + lockPrefix + id
		}
		switch holder := -1; {
		case node < 0:
			findings = append(findings, world.Finding{Claim: world.DataHasLock, Path: path, Detail: "changed, and there is no lock file"})
		default:
			holder = w.disk.Holder(node)
			if holder == c.Process {
				continue
			}
			if holder < 0 {
				findings = append(findings, world.Finding{Claim: world.HolderOnly, Path: path, Detail: c.Kind.String() + " by a process that does not hold the lock"})
			} else {
				findings = append(findings, world.Finding{Claim: world.LiveKept, Path: path, Detail: c.Kind.String() + " by a process while another one holds the lock"})
			}
		}
	}
	return findings
}

// failed says whether a call of the process was made to fail: then it may find that
// unnamed files do not work.
func (w *machine) failed(process int) bool {
	for _, a := range w.actors {
		if a.process.Number() == process {
			return a.failed
		}
	}
	return false
}

// instance is the id of the instance that a name belongs to, and whether it is
// the name of the lock file; "" if it belongs to none.
func (w *machine) instance(name disk.Name) (id string, lock bool) {
	if name.Dir < 0 {
		return "", false
	}
	dir, last := name.Dir, name.Name
	for dir != w.rootNode {
		if dir == w.disk.Root() {
			return "", false
		}
		above := w.disk.Parent(dir)
		last = w.disk.NameIn(above, dir)
		dir = above
	}
	if len(last) > len(lockPrefix) && last[:len(lockPrefix)] == lockPrefix {
		return last[len(lockPrefix):], true
	}
	if len(last) > len(dataPrefix) && last[:len(dataPrefix)] == dataPrefix {
		return last[len(dataPrefix):], false
	}
	return "", false
}

// Names of instances: an oracle that takes them from the library would not notice a
// change.
const (
	lockPrefix = "lock-"
	dataPrefix = "temp-dir-"
)

// look observes a disk. Nothing may be running on it meanwhile.
func look(d *disk.Disk) (t world.Tree) {
	d.Walk(func(f disk.Found) {
		n := world.Node{Path: f.Path[1:], Kind: world.Other, Content: f.Content}
		switch f.Kind {
		case 0:
			n.Kind = world.File
		case fs.ModeDir:
			n.Kind = world.Directory
		case fs.ModeSymlink:
			n.Kind = world.Link
		}
		t = append(t, n)
	})
	return t
}
