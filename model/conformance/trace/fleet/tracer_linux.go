package fleet

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model/conformance/trace"
	"github.com/afterlock/afterlock/tempdir"
)

const (
	announceEvery = 8   // turns for each message to the parent, at which kills are aimed
	failEvery     = 200 // calls for each one that fails, on average
	orphanEvery   = 20  // turns for each orphan
	mostEntries   = 3   // in an instance: the model has room for no more
	treeFiles     = 2   // in every tree: the model has no more, and one could not be half gone
)

// A tracer is one process of the model: a goroutine with a root of its own.
type tracer struct {
	worker    *worker
	index     int
	rng       *rand.Rand
	root      *tempdir.Root
	recording *trace.Recording
	turns     int
	made      int // names
}

func newTracer(w *worker, index int, recording *trace.Recording) (*tracer, error) {
	x := &tracer{worker: w, index: index, recording: recording}
	x.rng = x.rngFor(0)
	return x, x.openRoot()
}

func (x *tracer) rngFor(use uint64) *rand.Rand {
	return rand.New(rand.NewPCG(x.worker.Seed, uint64(x.index)+use))
}

// turn is one thing that the tracer does. What the library answers is for the
// validator to judge; the error is about the tracer's own work and data.
func (x *tracer) turn(ctx context.Context) error {
	if x.index == 0 && x.turns%announceEvery == 0 {
		x.worker.announce()
	}
	x.turns++
	switch {
	case x.rng.IntN(orphanEvery) == 0:
		return x.orphan()
	case x.worker.Recovers || x.rng.IntN(3) == 0:
		x.recover(ctx)
		return nil
	}
	return x.live(ctx)
}

func (x *tracer) recover(ctx context.Context) { _, _ = x.root.Recover(ctx) }

// An instance is one that the tracer holds, and how many whole trees are in it.
type instance struct {
	*tempdir.Dir
	data    string
	entries int
}

// live is the life of one instance, with a look at its data after every step.
func (x *tracer) live(ctx context.Context) error {
	dir, err := x.root.Create()
	if err != nil {
		return nil
	}
	i := &instance{Dir: dir, data: filepath.Join(x.worker.Root, dataPrefix+dir.ID())}
	var committed []string
	for range x.rng.IntN(mostEntries + 1) {
		switch x.rng.IntN(8) {
		case 0:
			x.recover(ctx) // it meets its own live instance, too
		case 1, 2:
			var at string
			if at, err = x.add(i); at != "" {
				committed = append(committed, at)
			}
		case 3:
			err = x.compete(i)
		default:
			err = x.delete(i)
		}
		if err == nil {
			err = x.look(i)
		}
		if err != nil {
			break
		}
	}
	_ = dir.Close(ctx)
	for _, at := range committed {
		// Once more: somebody who took the instance for stale goes on removing by
		// descriptors after the commit has moved the tree away.
		if err == nil {
			err = x.wholeCommit(at)
		}
		err = errors.Join(err, os.RemoveAll(at))
	}
	return err
}

// look wants all trees of the instance, whole: it is live, and nobody may touch it.
func (x *tracer) look(i *instance) error {
	entries, err := os.ReadDir(i.data)
	if err != nil {
		return lost("%v", err)
	}
	if len(entries) != i.entries {
		return lost("%s has %d entries of %d", i.data, len(entries), i.entries)
	}
	for _, entry := range entries {
		if n, err := countFiles(filepath.Join(i.data, entry.Name())); err != nil || n != treeFiles {
			return lost("%s/%s has %d of %d files: %v", i.data, entry.Name(), n, treeFiles, err)
		}
	}
	x.worker.looks.Add(1)
	return nil
}

// wholeCommit wants all files of a committed tree.
func (x *tracer) wholeCommit(path string) error {
	switch n, err := countFiles(path); {
	case errors.Is(err, fs.ErrNotExist):
		return partial("a committed tree is gone: %v", err)
	case err != nil:
		return err
	case n != treeFiles:
		return partial("a committed tree has %d of %d files", n, treeFiles)
	}
	return nil
}

// name is a name that nobody has used.
func (x *tracer) name() string {
	x.made++
	return fmt.Sprintf("%d-%d-%d", x.worker.Worker, x.index, x.made)
}

// build makes a whole tree at path: what a kill has cut off is never there.
func (x *tracer) build(path string) error {
	at := filepath.Join(x.worker.Work, "build", x.name())
	if err := x.makeFiles(at); err != nil {
		return err
	}
	return os.Rename(at, path)
}

// delete stages a victim of its own. If that fails, the victim waits for others.
func (x *tracer) delete(i *instance) error {
	victim := filepath.Join(x.worker.Work, "victims", x.name())
	if err := x.build(victim); err != nil {
		return err
	}
	return i.staged(i.StageDeletion(victim))
}

// compete stages a victim that others may be staging.
func (x *tracer) compete(i *instance) error {
	victims := filepath.Join(x.worker.Work, "victims")
	entries, err := os.ReadDir(victims)
	if err == nil && len(entries) > 0 {
		return i.staged(i.StageDeletion(filepath.Join(victims, entries[x.rng.IntN(len(entries))].Name())))
	}
	return err
}

// staged counts what was staged. The error is the loss that the library's tells of:
// what nobody but the owner of an instance may take is gone. Other errors are for the
// validator; they leave open whether the tree was staged.
func (i *instance) staged(err error) error {
	switch {
	case err == nil:
		i.entries++
	case errors.Is(err, tempdir.ErrInstanceGone) || errors.Is(err, tempdir.ErrNothingStaged):
		return lost("of a live instance: %v", err)
	default:
		if entries, err := os.ReadDir(i.data); err == nil && len(entries) > i.entries {
			i.entries++
		}
	}
	return nil
}

// add builds an addition in the instance, and commits it, to the path that it
// returns, or leaves it to Close.
func (x *tracer) add(i *instance) (committed string, err error) {
	addition, err := i.StageAddition()
	if err != nil {
		return "", err
	}
	if err := x.makeFiles(addition.Path()); err != nil {
		return "", lost("while an addition was built: %v", err)
	}
	i.entries++
	if x.rng.IntN(3) == 0 {
		return "", nil
	}
	if err := x.look(i); err != nil {
		return "", err
	}
	i.entries--
	committed = filepath.Join(x.worker.Work, "committed", x.name())
	if err := addition.Commit(committed); err != nil {
		return "", i.staged(err)
	}
	x.worker.commits.Add(1)
	return committed, x.wholeCommit(committed)
}

// orphan puts data without a lock file into the root, as power loss can.
func (x *tracer) orphan() error {
	var raw [16]byte
	for i := range raw {
		raw[i] = byte(x.rng.Uint32())
	}
	id := hex.EncodeToString(raw[:])
	at := filepath.Join(x.worker.Work, "build", "orphan-"+id)
	if err := os.Mkdir(at, 0o700); err != nil {
		return err
	}
	if err := x.build(filepath.Join(at, "0-orphan")); err != nil {
		return err
	}
	if err := x.recording.Orphan(id, 1); err != nil {
		return err
	}
	return os.Rename(at, filepath.Join(x.worker.Root, dataPrefix+id))
}

// The names on disk are written out here once more, instead of taken from the
// library: the check must not share a mistake with its subject.
const dataPrefix = "temp-dir-"

// fileName is that of the file whose names make up the trees.
const fileName = "file"

// makeFiles makes a tree: names of one file, because what can vanish are names, and
// new inodes would make it several times slower on some file systems.
func (x *tracer) makeFiles(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	for i := range treeFiles {
		if err := os.Link(filepath.Join(x.worker.Work, fileName), filepath.Join(path, "file-"+strconv.Itoa(i))); err != nil {
			return err
		}
	}
	return nil
}

func countFiles(path string) (int, error) {
	dir, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	return len(names), err
}

// faults is a hook that lets calls fail, and hides unnamed files.
type faults struct {
	rng   *rand.Rand
	named bool
	armed bool
}

// Before fails calls whose failure says that nothing was done.
func (f *faults) Before(c *kernel.Call) error {
	switch c.Method {
	case kernel.OpenRoot, kernel.Close:
		return nil
	case kernel.OpenUnnamed:
		if f.named {
			return unix.EOPNOTSUPP
		}
	}
	if !f.armed {
		return nil
	}
	switch f.rng.IntN(2 * failEvery) {
	case 0:
		return unix.EIO
	case 1:
		return unix.ENOSPC
	}
	return nil
}

// After fails closes: Linux has closed the descriptor all the same.
func (f *faults) After(c *kernel.Call) {
	if f.armed && c.Method == kernel.Close && c.Err == nil && f.rng.IntN(failEvery) == 0 {
		c.Err = unix.EIO
	}
}
