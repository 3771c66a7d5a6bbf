package stress

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// workerRole is what a process of the stages is.
const workerRole = "stress worker"

func init() { proc.Register(workerRole, func([]string) { proc.Fail(work()) }) }

// kernels are the kernels that a job can name. The program has none; the tests
// of this package put faulty ones here in an init function.
var kernels map[string]func() kernel.Kernel

// A worker is this process in its role. One goroutine uses it.
type worker struct {
	job
	rng     *rand.Rand
	stop    atomic.Bool // the parent wants the worker to end
	counts  map[string]int64
	flushed time.Time
}

func work() error {
	w := &worker{counts: make(map[string]int64)}
	if err := proc.Parent.Receive(&w.job); err != nil {
		return fmt.Errorf("no job: %w", err)
	}
	w.rng = rand.New(rand.NewPCG(w.Seed, uint64(w.Worker)))
	before, err := openDescriptors()
	if err == nil {
		go func() {
			proc.Parent.Await()
			w.stop.Store(true)
		}()
		err = w.run()
	}
	w.flush()
	end := message{Step: stepEnd}
	if err != nil {
		w.report(err) // and what it had open stays open
	} else if after, err := openDescriptors(); err != nil {
		w.report(err)
	} else {
		end.Leaked = newDescriptors(before, after)
	}
	w.send(end)
	return nil
}

// run works until the parent wants it to end or something is wrong.
func (w *worker) run() error {
	if w.Role == roleTraced {
		return w.trace()
	}
	root, err := w.open()
	if err != nil {
		return err
	}
	defer root.Close()
	var turn func(*tempdir.Root) error
	switch w.Role {
	case roleStore:
		s, err := openStore(w)
		if err != nil {
			return err
		}
		defer s.close()
		turn = s.turn
	case roleCreator:
		turn = w.createOnce
	case roleRecoverer:
		turn = w.recoverOnce
	default:
		return fmt.Errorf("no such role: %q", w.Role)
	}
	for !w.stop.Load() {
		if err := turn(root); err != nil {
			return err
		}
		if time.Since(w.flushed) > 50*time.Millisecond {
			w.flush()
		}
	}
	return nil
}

// open opens the root, through the kernel that the job names.
func (w *worker) open() (*tempdir.Root, error) {
	k, err := w.kernel()
	if err != nil {
		return nil, err
	}
	if w.Role == roleRecoverer {
		k = &announcer{Kernel: k, worker: w}
	}
	return tempdir.Open(w.Root, kernel.With[tempdir.Option](k), tempdir.OrphanGrace(0), tempdir.Purpose("stress "+string(w.Role)))
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

// recoverOnce is one turn of a recoverer.
func (w *worker) recoverOnce(root *tempdir.Root) error {
	report, err := root.Recover(context.Background())
	w.counts[countRecoveries]++
	w.counts[countRecovered] += int64(report.Count(tempdir.Recovered))
	w.counts[countMet] += int64(report.Count(tempdir.Skipped))
	return err
}

// flush sends the counts so far. A worker that is killed takes those of the
// last moments with it.
func (w *worker) flush() {
	w.flushed = time.Now()
	if len(w.counts) > 0 {
		w.send(message{Step: stepCounts, Add: w.counts})
		clear(w.counts)
	}
}

// announce tells the parent what comes next.
func (w *worker) announce(next step) { w.send(message{Step: next}) }

// send writes one message. If the parent is gone there is nobody to tell and
// nothing to work for.
func (w *worker) send(m message) {
	if err := proc.Parent.Send(m); err != nil {
		os.Exit(3)
	}
}

// A finding is an error that says how a stage failed.
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
	var found finding
	switch {
	case errors.As(err, &found):
		w.send(message{Step: found.step, Text: found.text})
	case errors.Is(err, tempdir.ErrInstanceGone):
		w.send(message{Step: stepLost, Text: err.Error()})
	case isEnvironment(err):
		w.send(message{Step: stepEnvironment, Text: err.Error()})
	default:
		w.send(message{Step: stepFailed, Text: err.Error()})
	}
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

// An announcer tells the parent when a recoverer begins to remove data, so
// that kills can be aimed at it.
type announcer struct {
	kernel.Kernel
	worker    *worker
	announced string
}

func (a *announcer) RemoveData(root int, name string) error {
	a.announce(name)
	return a.Kernel.RemoveData(root, name)
}

func (a *announcer) OpenDirectory(dir int, name string) (int, error) {
	if name != "." {
		a.announce(name)
	}
	return a.Kernel.OpenDirectory(dir, name)
}

// announce sends one message for every data directory.
func (a *announcer) announce(name string) {
	if isDataName(name) && name != a.announced {
		a.announced = name
		a.worker.announce(stepRemove)
	}
}
