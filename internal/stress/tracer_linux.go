package stress

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

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
)

// A tracer is one process of the model: a goroutine with a root of its own.
type tracer struct {
	worker    *worker
	index     int
	rng       *rand.Rand
	root      *tempdir.Root
	recording *trace.Recording
	made      int // names
}

// trace runs the worker's tracers until the parent wants it to end.
func (w *worker) trace() error {
	recording, err := trace.Attach(w.Recording)
	if err != nil {
		return err
	}
	defer recording.Close()
	var group sync.WaitGroup
	errs := make([]error, w.Tracers)
	for i := range w.Tracers {
		x := &tracer{worker: w, index: i, recording: recording, rng: rand.New(rand.NewPCG(w.Seed, uint64(i)))}
		if err := x.open(); err != nil {
			return err
		}
		group.Go(func() {
			defer x.root.Close()
			for !w.stop.Load() && errs[i] == nil {
				errs[i] = x.turn()
			}
			w.stop.Store(true) // an error ends them all
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// open opens the root through a kernel that fails now and then, and is recorded.
func (x *tracer) open() (err error) {
	k, err := x.worker.kernel()
	if err != nil {
		return err
	}
	faults := &faults{rng: rand.New(rand.NewPCG(x.worker.Seed, uint64(x.index)+1000)), named: x.worker.Named}
	k = kernel.Around(k, faults)
	k = kernel.Around(k, x.recording.Recorder(tracerNumber(x.worker.Worker, x.index)))
	x.root, err = tempdir.Open(x.worker.Root, kernel.With[tempdir.Option](k), tempdir.OrphanGrace(0), tempdir.Purpose("stress traced"))
	faults.armed = true // a worker that cannot open its root has no work
	return err
}

// turn is one thing that the tracer does. What the library answers is for the
// validator to judge; the error is about the tracer's own work.
func (x *tracer) turn() error {
	if x.index == 0 && x.made%announceEvery == 0 {
		x.worker.announce(stepCreate)
	}
	x.made++
	switch {
	case x.rng.IntN(orphanEvery) == 0:
		return x.orphan()
	case x.rng.IntN(3) == 0:
		x.recover()
		return nil
	}
	return x.live()
}

func (x *tracer) recover() { _, _ = x.root.Recover(context.Background()) }

// live is the life of one instance.
func (x *tracer) live() error {
	dir, err := x.root.Create()
	if err != nil {
		return nil
	}
	defer dir.Close(context.Background())
	for range x.rng.IntN(mostEntries + 1) {
		switch x.rng.IntN(8) {
		case 0:
			x.recover() // it meets its own live instance, too
		case 1, 2:
			err = x.add(dir)
		case 3:
			err = x.compete(dir)
		default:
			err = x.delete(dir)
		}
		if err != nil {
			return err
		}
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
	if err := makeFiles(at, filepath.Join(x.worker.Work, fileName), traceFiles); err != nil {
		return err
	}
	return os.Rename(at, path)
}

// delete stages a victim of its own. If that fails, the victim waits for others.
func (x *tracer) delete(dir *tempdir.Dir) error {
	victim := filepath.Join(x.worker.Work, "victims", x.name())
	if err := x.build(victim); err != nil {
		return err
	}
	return x.lossOf(dir.StageDeletion(victim))
}

// lossOf is the loss that an error of the tracer's own live instance tells of: what
// nobody but its owner may take is gone. Other errors are for the validator.
func (x *tracer) lossOf(err error) error {
	if errors.Is(err, tempdir.ErrInstanceGone) || errors.Is(err, tempdir.ErrNothingStaged) {
		return lost("of a live instance: %v", err)
	}
	return nil
}

// compete stages a victim that others may be staging.
func (x *tracer) compete(dir *tempdir.Dir) error {
	victims := filepath.Join(x.worker.Work, "victims")
	entries, err := os.ReadDir(victims)
	if err == nil && len(entries) > 0 {
		return x.lossOf(dir.StageDeletion(filepath.Join(victims, entries[x.rng.IntN(len(entries))].Name())))
	}
	return err
}

// add builds an addition in the instance, and commits it or leaves it to Close.
func (x *tracer) add(dir *tempdir.Dir) error {
	addition, err := dir.StageAddition()
	if err != nil {
		return err
	}
	if err := makeFiles(addition.Path(), filepath.Join(x.worker.Work, fileName), traceFiles); err != nil {
		return lost("while an addition was built: %v", err)
	}
	if x.rng.IntN(3) == 0 {
		return nil
	}
	committed := filepath.Join(x.worker.Work, "committed", x.name())
	if err := addition.Commit(committed); err != nil {
		return x.lossOf(err)
	}
	return os.RemoveAll(committed)
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
	return os.Rename(at, filepath.Join(x.worker.Root, dataName(id)))
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
