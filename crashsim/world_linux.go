package crashsim

import (
	"context"

	"github.com/afterlock/afterlock/crashsim/disk"
)

// A world is one disk with the scenario's tree, and the actors on it.
type world struct {
	scenario *Scenario
	disk     *disk.Disk
	base     disk.Tree
	actors   []*actor
	rootNode int32
}

// newWorld lays the scenario out and opens the root in every process.
func newWorld(s *Scenario, options disk.Options, names []byte, programs []func(*actor) error) (*world, error) {
	w := &world{scenario: s, disk: disk.New(options)}
	if err := s.setup(w.disk.Process()); err != nil {
		return nil, err
	}
	w.rootNode = w.disk.Find(w.disk.Root(), rootName)
	for i, program := range programs {
		a, err := newActor(w.disk, names[i], faults[s.fault].wrap)
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
	return disk.Options{Ordered: !s.syncs("data"), NoUnnamed: s.Named}
}

// reset puts the disk into the state t, with processes that have done nothing
// but open the root.
func (w *world) reset(t *disk.Tree) error {
	for _, a := range w.actors {
		a.abandon()
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
func (w *world) guard(c *disk.Change) []Finding {
	var findings []Finding
	for _, name := range [2]disk.Name{c.From, c.To} {
		id, lock := w.instance(name)
		if id == "" || c.Kind == disk.Sync {
			continue
		}
		node := w.disk.Find(w.rootNode, lockPrefix+id)
		if lock {
			node = c.Node
		}
		if lock && c.Kind == disk.Link && w.scenario.Named {
			continue // locked next, and rechecked
		}
		path := rootName + "/" + dataPrefix + id
		if lock {
			path = rootName + "/" + lockPrefix + id
		}
		switch holder := -1; {
		case node < 0:
			findings = append(findings, Finding{DataHasLock, path, "changed, and there is no lock file"})
		default:
			holder = w.disk.Holder(node)
			if holder == c.Process {
				continue
			}
			if holder < 0 {
				findings = append(findings, Finding{HolderOnly, path, c.Kind.String() + " by a process that does not hold the lock"})
			} else {
				findings = append(findings, Finding{LiveKept, path, c.Kind.String() + " by a process while another one holds the lock"})
			}
		}
	}
	return findings
}

// instance is the id of the instance that a name belongs to, and whether it is
// the name of the lock file; "" if it belongs to none.
func (w *world) instance(name disk.Name) (id string, lock bool) {
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
