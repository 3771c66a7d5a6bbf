package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model/conformance/trace"
	"github.com/afterlock/afterlock/tempdir"
)

// A job is what a worker has to do: what its parent sends first.
type job struct {
	Worker    int    // number of this process; never used twice in a run
	Seed      uint64 // of its choices
	Kernel    string // see kernels
	Root      string // the root directory
	Work      string // where trees are built, victims wait, and commits go
	Recording string // see package trace
	Named     bool   // as on a file system without unnamed files
	Recovers  bool   // it recovers, in a tight loop, and does nothing else
	Tracers   int    // goroutines, each a process of the model
}

// A step is what a message is about.
type step string

const (
	stepTurn        step = "turn"        // what comes next; kills are aimed at it
	stepCounts      step = "counts"      // has counts only
	stepEnd         step = "end"         // ends in order; what it leaked is in Leaked
	stepLost        step = "lost"        // problem: data of a live instance is gone
	stepPartial     step = "partial"     // problem: a commit succeeded without all files
	stepFailed      step = "failed"      // problem: an error that should not be
	stepEnvironment step = "environment" // an error that says nothing about the library
)

// A message is what a worker sends.
type message struct {
	Step           step
	Text           string   `json:",omitempty"`
	Looks, Commits int64    `json:",omitempty"`
	Leaked         []string `json:",omitempty"`
}

// kernels are the kernels that a job can name. The program has none; the tests
// of this package put mutants here in an init function.
var kernels map[string]func() kernel.Kernel

// workerRole is what a worker is.
const workerRole = "fleet worker"

func init() {
	proc.Begin(map[string]func([]string){workerRole: func([]string) { proc.Fail(work()) }})
}

// A worker is this process. Its tracers share it.
type worker struct {
	job
	stop           atomic.Bool // the parent wants the worker to end
	looks, commits atomic.Int64
	flushed        time.Time
}

func work() error {
	w := &worker{}
	if err := proc.Parent.Receive(&w.job); err != nil {
		return fmt.Errorf("no job: %w", err)
	}
	before, err := proc.OpenDescriptors()
	if err == nil {
		go func() {
			proc.Parent.Await()
			w.stop.Store(true)
		}()
		err = w.trace()
	}
	w.flush()
	end := message{Step: stepEnd}
	if err == nil {
		end.Leaked, err = before.Leaked()
	} // after an error, what it had open stays open
	if err != nil {
		w.report(err)
	}
	w.send(end)
	return nil
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
		x, err := newTracer(w, i, recording)
		if err != nil {
			return err
		}
		group.Go(func() {
			defer x.root.Close()
			for !w.stop.Load() && errs[i] == nil {
				errs[i] = x.turn(context.Background())
			}
			w.stop.Store(true) // an error ends them all
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// kernel is the one that the job names.
func (w *worker) kernel() (kernel.Kernel, error) {
	if w.Kernel == "" {
		return kernel.Linux(), nil
	}
	makeKernel := kernels[w.Kernel]
	if makeKernel == nil {
		return nil, fmt.Errorf("no such kernel: %q", w.Kernel)
	}
	return makeKernel(), nil
}

// announce tells the parent that a turn begins, and now and then the counts. A
// worker that is killed takes those of the last moments with it.
func (w *worker) announce() {
	w.send(message{Step: stepTurn})
	if time.Since(w.flushed) > 50*time.Millisecond {
		w.flush()
	}
}

func (w *worker) flush() {
	w.flushed = time.Now()
	w.send(message{Step: stepCounts, Looks: w.looks.Swap(0), Commits: w.commits.Swap(0)})
}

// send writes one message. If the parent is gone there is nobody to tell and
// nothing to work for.
func (w *worker) send(m message) { proc.Fail(proc.Parent.Send(m)) }

// A finding is an error that says what the library did wrong.
type finding struct {
	step step
	text string
}

func (f finding) Error() string { return string(f.step) + ": " + f.text }

func lost(format string, args ...any) error {
	return finding{stepLost, fmt.Sprintf(format, args...)}
}

func partial(format string, args ...any) error {
	return finding{stepPartial, fmt.Sprintf(format, args...)}
}

// report tells the parent why the worker ends early.
func (w *worker) report(err error) {
	m := message{Step: stepFailed, Text: err.Error()}
	var found finding
	switch {
	case errors.As(err, &found):
		m = message{Step: found.step, Text: found.text}
	case isEnvironment(err):
		m.Step = stepEnvironment
	}
	w.send(m)
}

// isEnvironment reports whether err is about the machine, not the library.
func isEnvironment(err error) bool {
	for _, errno := range []unix.Errno{unix.ENOSPC, unix.EDQUOT, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EIO, unix.EROFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return errors.Is(err, errors.ErrUnsupported)
}

// openRoot opens the root through a kernel that fails now and then, and is recorded.
func (x *tracer) openRoot() (err error) {
	k, err := x.worker.kernel()
	if err != nil {
		return err
	}
	faults := &faults{rng: x.rngFor(1000), named: x.worker.Named}
	k = kernel.Around(k, faults)
	k = kernel.Around(k, x.recording.Recorder(tracerNumber(x.worker.Worker, x.index)))
	x.root, err = tempdir.Open(x.worker.Root, kernel.With[tempdir.Option](k), tempdir.OrphanGrace(0), tempdir.Purpose("a fleet"))
	faults.armed = true // a worker that cannot open its root has no work
	return err
}
