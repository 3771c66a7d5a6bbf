package linearizability

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/afterlock/afterlock/internal/scratch"
)

// A Config says what to run. Dir must be given.
type Config struct {
	Dir        string        // existing directory: the scratch directory is made in it and always removed
	Keep       string        // existing directory for what failed; default: Dir
	Images     string        // existing directory for image stores, if it is on another file system; default: one that everybody may use
	Seed       uint64        // of all choices: programs, crash points, kills
	Goroutines int           // histories of goroutines
	Processes  int           // histories of forked processes that are killed
	Files      int           // in every tree; default: 2, for which most is found in the time
	Duration   time.Duration // how long to go on at least
	Timeout    time.Duration // see [Judge]
	Log        *slog.Logger
	Progress   func(text string) // called now and then, one call at a time

	fault string // see faults
}

// A Report is what [Run] did and found.
type Report struct {
	FileSystem string // type of the scratch directory's file system
	Images     string // and of that of the image stores
	SameSystem bool   // they are on one, for want of another: no move of a layer between two was tried
	Goroutines int64  // histories of goroutines that were judged
	Processes  int64  // histories of forked processes that were judged
	Layouts    map[string]int64

	WithImages int64 // histories with an image store
	Full       int64 // histories on a disk that has no room now and then

	Operations int64            // with a response or cut off
	CutOff     int64            // of these, by a kill
	Refused    int64            // because of what others had done: clients met
	Answers    map[string]int64 // how often operations answered what, see [Answers]
	Kills      int64            // by SIGKILL
	AtCalls    int64            // of these, before a chosen system call
	Removing   int64            // of these, while a layer was being removed
	CleanedUp  int64            // recoveries after which nothing was left
	Held       int64            // store locks that processes with one client had exclusively
	Under      int64            // removals under those

	Illegal   int64
	Undecided int64
	Problems  []string // illegal histories, and operations that failed: each with the command that judges the history again; leaks
	Because   []string // the same of undecided histories
	Judging   time.Duration
}

// Answers are what operations have to have answered, each of them, in a run that
// shows anything: the kind, and how it ended.
var Answers = []string{
	"create ok", "create ok on a parent", "create ok in the image store", "create taken", "create noparent",
	"delete ok", "delete ok inplace", "delete unknown", "delete children", "delete mounted",
	"list ok", "exists ok yes", "exists ok no", "read ok", "read ok with parents", "read unknown",
	"look ok a tree", "look ok a link", "look ok nothing", "recover ok all", "recover ok some",
	"mount ok", "mount unknown", "unmount ok", "unmount unknown", "unmount unmounted",
}

// answers are which of [Answers] the operation has.
func (op *Operation) answers() []string {
	r, plain := &op.Result, string(op.Kind)+" "+string(op.Result.Outcome)
	all := []string{plain}
	add := func(holds bool, text string) {
		if holds {
			all = append(all, plain+" "+text)
		}
	}
	if r.Outcome != Done {
		return all
	}
	switch op.Kind {
	case Create:
		add(op.Parent != "", "on a parent")
		add(op.Image, "in the image store")
	case Delete:
		add(r.Yes, "inplace")
	case Exists:
		add(true, choose(r.Yes, "yes", "no"))
	case Read:
		add(len(r.Trees) > 1, "with parents")
	case Look:
		add(len(r.Trees) > 0, "a tree")
		add(r.Yes, "a link")
		add(len(r.Trees) == 0 && !r.Yes, "nothing")
	case Recover:
		add(true, choose(r.Yes, "all", "some"))
	}
	return all
}

// Unanswered returns which of [Answers] no operation gave.
func (r *Report) Unanswered() []string {
	return slices.DeleteFunc(slices.Clone(Answers), func(answer string) bool { return r.Answers[answer] > 0 })
}

// Sizes of one history. Small: many short histories on stores of their own find
// more than a long one, and are judged in no time.
const (
	clients      = 4 // goroutines
	actions      = 18
	places       = 3 // processes at a time
	generations  = 3 // processes after each other, in one place; the last is not killed
	goroutinesOf = 2 // a process
	actionsOf    = 7 // a goroutine of a process
	untilShot    = 6 // times as many, of a process that is shot: it must not be done before

	// maxCrash bounds the call before which a process kills itself: about how many
	// it makes. maxShot bounds the time after which its parent kills it.
	maxCrash = 200
	maxShot  = 12 * time.Millisecond

	parallel    = 4 // histories at a time: most of it is waiting for disks
	maxProblems = 20
)

// Run records histories of the layer store and judges them, each on a store of
// its own, in both layouts in turn. Half of them have an image store, on another
// file system if there is one, half of them parents, and in a third the disk has no
// room for some of the layers that are moved aside. Those of goroutines have four clients on two
// handles. Those of processes have three processes at a time with two clients
// each, which are killed with SIGKILL and replaced, twice in each place: before
// a chosen system call of the store, or at a random moment.
//
// A history is written to disk before it is judged. If it is not ok, it is kept in
// Config.Dir with its picture, and the problem has the command that judges it again.
//
// The error is the context's, or says that the environment failed. What the store
// did wrong is in the report.
func Run(ctx context.Context, c Config) (Report, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	if _, known := faults[c.fault]; !known && c.fault != "" {
		return Report{}, fmt.Errorf("no such fault: %q", c.fault)
	}
	dir, err := os.MkdirTemp(c.Dir, scratchPattern)
	if err != nil {
		return Report{}, err
	}
	defer os.RemoveAll(dir)
	images, err := otherFileSystem(dir, c.Images)
	if err != nil {
		return Report{}, err
	}
	defer os.RemoveAll(images)
	r := &runner{Config: c, scratch: dir, images: images, report: Report{Layouts: map[string]int64{}, Answers: map[string]int64{}}}
	if r.report.FileSystem, err = scratch.FileSystem(dir); err != nil {
		return r.report, err
	}
	if r.report.Images, err = scratch.FileSystem(images); err != nil {
		return r.report, err
	}
	r.report.SameSystem = filepath.Dir(images) == dir
	if r.Keep == "" {
		r.Keep = c.Dir
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	numbers := make(chan int)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for n := range numbers {
				if err := r.one(ctx, n); err != nil {
					stop(err)
				}
			}
		})
	}
	begin := time.Now()
	for n := 0; n < c.Goroutines+c.Processes || time.Since(begin) < c.Duration && ctx.Err() == nil; n++ {
		select {
		case numbers <- n:
		case <-ctx.Done():
		}
	}
	close(numbers)
	workers.Wait()
	return r.report, context.Cause(ctx)
}

type runner struct {
	Config
	scratch, images string

	mu     sync.Mutex
	report Report
}

// one records and judges history n. Its error ends the run.
func (r *runner) one(ctx context.Context, n int) (err error) {
	forked, like := r.turn(n)
	rng := rand.New(rand.NewPCG(r.Seed, uint64(n)))
	at := site{Layout: []string{"vfs", "overlay"}[like%2], Files: r.Files}
	what := "goroutines"
	if forked {
		what = "processes"
	}
	name := fmt.Sprintf("scene-%d", n)
	// Not in all histories: what is on disk of a parent in the layout vfs cannot be
	// told from its copies.
	programs := mix{images: like/2%2 == 0, parents: like/4%2 == 0}
	if programs.images {
		at.Images = filepath.Join(r.images, name)
		what += " with an image store"
	}
	if like%3 == 0 {
		at.Full = 1 + rng.Uint64N(1<<32)
		what += " on a full disk"
	}
	note := fmt.Sprintf("history %d of %s, seed %d", n, what, r.Seed)
	s, err := newScene(filepath.Join(r.scratch, name), at, note)
	if err != nil {
		return err
	}
	defer func() {
		if removed := s.remove(); err == nil {
			err = removed
		}
	}()
	f := faults[r.fault]
	atCalls := int64(0)
	if forked {
		atCalls, err = s.forkAll(ctx, rng, programs, r.fault)
	} else {
		err = s.run(ctx, 1, randomProgram(rng, clients, actions, programs), f)
	}
	if err == nil {
		err = s.observe(ctx, f, layerNames...)
	}
	if err != nil {
		return err
	}
	r.count(&s.counts, n)
	h, incomplete := s.history()
	if h == nil {
		return incomplete
	}
	path := filepath.Join(r.scratch, fmt.Sprintf("history-%d", n))
	if err := h.Save(path); err != nil {
		return err
	}
	if incomplete != nil {
		return fmt.Errorf("the recorder lost something: %w; the history is kept: %s", incomplete, r.keep(path, n))
	}
	if h, err = Load(path); err != nil {
		return err
	}
	j, err := Judge(ctx, h, r.Timeout)
	if errors.Is(err, ErrAssumption) {
		err = fmt.Errorf("%w; it is kept: %s", err, r.keep(path, n))
	}
	if err != nil {
		return err
	}
	return r.add(h, j, path, n, at, forked, atCalls)
}

// count adds what history n does not say.
func (r *runner) count(c *counts, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.report.Held, r.report.Under, r.report.Removing = r.report.Held+c.held, r.report.Under+c.under, r.report.Removing+c.removing
	for _, problem := range c.problems {
		r.report.Problems = append(r.report.Problems, fmt.Sprintf("history %d: %s", n, problem))
	}
}

// turn returns whether history n is one of processes, and how many like it there
// were before. They alternate, so that a history of the one does not always meet
// the load of its like.
func (r *runner) turn(n int) (forked bool, like int) {
	total := r.Goroutines + r.Processes
	before := n * r.Processes / total
	if forked = (n+1)*r.Processes/total > before; forked {
		return true, before
	}
	return false, n - before
}

// add counts a history, and keeps it if it is not ok.
func (r *runner) add(h *History, j *Judgement, path string, n int, at site, forked bool, atCalls int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := &r.report
	if forked {
		report.Processes++
	} else {
		report.Goroutines++
	}
	report.Layouts[h.Layout]++
	if at.Images != "" {
		report.WithImages++
	}
	if at.Full != 0 {
		report.Full++
	}
	report.Operations += int64(len(h.Operations))
	report.Kills += int64(len(h.Kills))
	report.AtCalls += atCalls
	report.Judging += j.Elapsed
	var failed, exhausted *Operation
	for i := range h.Operations {
		op := &h.Operations[i]
		for _, answer := range op.answers() {
			report.Answers[answer]++
		}
		switch op.Result.Outcome {
		case Pending:
			report.CutOff++
		case AlreadyExists, NoParent, Unknown, HasChildren, Mounted, Unmounted, Busy:
			report.Refused++
		case Failed, Indefinite, Leftover:
			failed = op
		case Exhausted:
			exhausted = op
		case Done:
			if op.Kind == Recover && op.Result.Yes {
				report.CleanedUp++
			}
		}
	}
	r.Progress(fmt.Sprintf("%d histories, %d operations, %d kills", report.Goroutines+report.Processes, report.Operations, report.Kills))
	switch {
	case j.Verdict == Illegal:
		report.Illegal++
	case j.Verdict == Undecided:
		report.Undecided++
	case failed == nil && exhausted != nil:
		return fmt.Errorf("%v: %s", exhausted, exhausted.Note)
	case failed == nil:
		return nil
	}
	if len(report.Problems)+len(report.Because) >= maxProblems {
		return nil
	}
	kept := r.keep(path, n)
	problem := j.String()
	if j.Verdict == OK {
		problem = fmt.Sprintf("%v → %s: %s; this must not fail, although the history is ok", failed, failed.Result.Outcome, failed.Note)
	} else if err := j.SavePicture(kept + ".html"); err != nil {
		return err
	}
	problem += "; judge it again: afterlock check " + kept
	if j.Verdict == Undecided {
		report.Because = append(report.Because, problem)
	} else {
		report.Problems = append(report.Problems, problem)
	}
	return nil
}

// keep moves the history out of the scratch directory, and returns where to.
func (r *runner) keep(path string, n int) string {
	kept, err := os.CreateTemp(r.Keep, fmt.Sprintf("afterlock-history-%d-%d-", r.Seed, n))
	if err == nil {
		kept.Close()
		err = os.Rename(path, kept.Name())
	}
	if err != nil {
		r.Log.Error("a history is lost", "error", err)
		return path
	}
	return kept.Name()
}
