package stress

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir"
)

// A record is one line of the journal of the lifecycle stage, which is outside
// of everything that is deleted. It is written in one piece, before an
// operation takes effect (invoked) and after (responded), under the store lock.
// An invocation without response is pending: the worker was killed, and the
// operation may or may not have taken effect.
type record struct {
	Operation operation `json:"operation"`
	Event     string    `json:"event"`
	Layer     string    `json:"layer"`
	Source    string    `json:"source,omitempty"` // of a commit: the layer it is a copy of
	Worker    int       `json:"worker"`
}

type operation string

const (
	deletion operation = "delete"
	commit   operation = "commit"

	invoked   = "invoke"
	responded = "respond"
)

// poolSize is around how many victims the workers keep: with fewer they add
// layers, with twice as many they delete.
const poolSize = 15

// A store is a worker's view of the layers.
type store struct {
	*worker
	lock    *os.File
	journal *os.File
	added   int
}

func openStore(w *worker) (*store, error) {
	lock, err := os.OpenFile(w.Lock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	journal, err := os.OpenFile(w.Journal, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		lock.Close()
		return nil, err
	}
	return &store{worker: w, lock: lock, journal: journal}, nil
}

func (s *store) close() {
	s.journal.Close() // every record is written already
	s.lock.Close()
}

// turn deletes or adds one layer.
func (s *store) turn(root *tempdir.Root) error {
	victims, err := s.victims()
	if err != nil {
		return err
	}
	if n := len(victims); n < poolSize || n < 2*poolSize && s.rng.IntN(2) == 0 {
		return s.add(root)
	}
	return s.delete(root)
}

// delete moves a layer aside under the store lock and removes it afterwards.
func (s *store) delete(root *tempdir.Root) error {
	s.announce(stepCreate)
	dir, err := root.Create()
	if err != nil {
		return err
	}
	victim := ""
	s.announce(stepLock)
	err = s.locked(func() error {
		victims, err := s.victims()
		if err != nil || len(victims) == 0 {
			return err
		}
		victim = victims[s.rng.IntN(len(victims))]
		return s.journaled(record{Operation: deletion, Layer: victim}, func() error {
			return dir.StageDeletion(filepath.Join(s.Layers, victim))
		})
	})
	if err != nil {
		return err
	}
	if victim != "" {
		s.announce(stepCheck)
		if err := s.checkStaged(dir, victim); err != nil {
			return err
		}
	}
	s.announce(stepRemove)
	return dir.Close(context.Background())
}

// checkStaged looks whether the staged layer is whole: its instance is live, so
// nobody may have touched it.
func (s *store) checkStaged(dir *tempdir.Dir, victim string) error {
	data := filepath.Join(s.Root, dataName(dir.ID()))
	entries, err := os.ReadDir(data)
	if err != nil || len(entries) != 1 {
		return lost("%s was staged, and its instance has %d entries: %v", victim, len(entries), err)
	}
	hash, err := hashTree(filepath.Join(data, entries[0].Name()))
	if err != nil || hash != s.LaidOut[sourceOf(victim)].Hash {
		return lost("%s was staged, and is damaged before its instance is closed: %v", victim, err)
	}
	s.counts[countChecked]++
	return nil
}

// add copies a layer into an instance without the store lock, and puts it in
// place under it.
func (s *store) add(root *tempdir.Root) error {
	s.announce(stepCreate)
	dir, err := root.Create()
	if err != nil {
		return err
	}
	addition, err := dir.StageAddition()
	if err != nil {
		return err
	}
	source := s.source()
	s.announce(stepCopy)
	if err := copyTree(filepath.Join(s.Layers, source), addition.Path()); err != nil {
		return lost("while %s was copied into an instance: %v", source, err)
	}
	s.added++
	name := fmt.Sprintf("copy-%d-%d-of-%s", s.Worker, s.added, source)
	s.announce(stepLock)
	err = s.locked(func() error {
		return s.journaled(record{Operation: commit, Layer: name, Source: source}, func() error {
			return addition.Commit(filepath.Join(s.Layers, name))
		})
	})
	if err != nil {
		return err
	}
	s.announce(stepRemove)
	return dir.Close(context.Background())
}

// source chooses a layer that is never a victim, so that it stays while it is
// copied.
func (s *store) source() string {
	return layerName(keepEvery * s.rng.IntN(layerCount/keepEvery))
}

// sourceOf returns the layer of the layout that has the same content.
func sourceOf(name string) string {
	if _, source, ok := strings.Cut(name, "-of-"); ok {
		return source
	}
	return name
}

// victims lists the layers that may be deleted.
func (s *store) victims() ([]string, error) {
	entries, err := os.ReadDir(s.Layers)
	var victims []string
	for _, entry := range entries {
		if !s.LaidOut[entry.Name()].Keep {
			victims = append(victims, entry.Name())
		}
	}
	return victims, err
}

// locked calls f under the store lock.
func (s *store) locked(f func() error) error {
	for {
		err := unix.Flock(int(s.lock.Fd()), unix.LOCK_EX)
		if err == nil {
			break
		}
		if err != unix.EINTR {
			return err
		}
	}
	defer unix.Flock(int(s.lock.Fd()), unix.LOCK_UN)
	return f()
}

// journaled calls f, with a record before and, if it succeeded, after.
func (s *store) journaled(r record, f func() error) error {
	r.Worker, r.Event = s.Worker, invoked
	if err := s.append(r); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	r.Event = responded
	return s.append(r)
}

func (s *store) append(r record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = s.journal.Write(append(line, '\n')) // one write, so that a kill leaves all or nothing of it
	return err
}
