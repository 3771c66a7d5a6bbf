package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/scratch"
	"github.com/afterlock/afterlock/model/conformance/trace"
	"github.com/afterlock/afterlock/tempdir"
)

// A Config says what to run. Dir must be given; other zero values are defaults.
type Config struct {
	Dir      string            // existing directory; the scratch directory is made in it and always removed
	Keep     string            // existing directory for a trace that is not valid; default: Dir
	Seed     uint64            // of all choices
	Duration time.Duration     // how long the workers work at least
	Events   int               // how many to record at least; default: 150,000
	Progress func(text string) // called now and then, from one goroutine, with a line for people

	kernel string // which of the test binary's kernels the workers use; see kernels
}

// What a run has to do to say anything: a slow machine gets more time for it.
const (
	MinKills   = 20
	MinCommits = 20
)

// A Report is what [Run] did and found.
type Report struct {
	FileSystem string // of the scratch directory
	Roots      int
	Recording  time.Duration // how long the workers were recorded
	Judging    time.Duration // how long the validation took

	GoroutineEvents int64 // by goroutines that share a process with others
	ProcessEvents   int64 // by processes of their own
	Kills           int64 // by SIGKILL
	Looks           int64 // at what was staged: all of it has to be there
	Commits         int64 // trees that were committed, and looked at twice
	Lost            int64 // data of live instances that was gone, or not whole
	Partial         int64 // commits that returned success without all files
	Validation      trace.Report

	Saved    string   // the trace, if it is not valid
	Problems []string // beside those of the validation: what was lost, left or leaked, and every unexpected end
}

// ErrEnvironment matches the errors that say nothing about the library: a full
// disk, no more descriptors.
var ErrEnvironment = errors.New("the environment does not allow the run")

const (
	// groupSize is how many processes of the model work in one root: the model
	// has room for an instance's owner and three that recover it.
	groupSize = 3

	defaultEvents = 150_000
	mostTime      = 2 * time.Minute // for the recording, and 100 µs for each event
)

// A group is what works in one root.
type group struct {
	shared bool // goroutines of one operating system process; else a process each
	named  bool // as on a file system without unnamed files
}

var groups = []group{
	{shared: false, named: false}, {shared: false, named: true}, {shared: true, named: false}, {shared: true, named: true},
	{shared: false, named: false},
}

// Run records goroutines and processes that create, stage, commit, close and
// recover in tight loops in several roots while they are killed at random moments and
// calls fail now and then, for the duration and until there are the events asked
// for, and validates the trace. If it is not valid, a copy stays in Config.Keep.
// In each group of processes there is one that recovers and does nothing else.
//
// After every step a worker looks at its instance: all that was staged is there,
// whole; a committed tree has all its files, at once and again after Close.
// Something lost ends the run. At the end, after one more recovery, the roots are
// empty, and no process that ended in order has leaked a descriptor.
//
// No worker that holds locks starts a process: between fork and exec a child
// shares its parent's open file descriptions, and a lock that the parent has
// closed lasts until the exec. That harms nobody (the instance is skipped as
// live), and the model has no fork.
//
// The error is the context's, matches [errors.ErrUnsupported], or matches
// [ErrEnvironment]. What the library did wrong is in the report.
func Run(ctx context.Context, c Config) (report Report, err error) {
	if c.Events == 0 {
		c.Events = defaultEvents
	}
	if c.Keep == "" {
		c.Keep = c.Dir
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	dir, err := os.MkdirTemp(c.Dir, "afterlock-traces-")
	if err != nil {
		return report, environment(err)
	}
	defer func() {
		if removed := os.RemoveAll(dir); err == nil && removed != nil {
			err = environment(removed)
		}
	}()
	if report.FileSystem, err = scratch.FileSystem(dir); err != nil {
		return report, environment(err)
	}
	at := filepath.Join(dir, "recording")
	recording, err := trace.Create(at, 2*c.Events, treeFiles)
	if err != nil {
		return report, environment(err)
	}
	defer recording.Close()
	d := drive{
		rng: rand.New(rand.NewPCG(c.Seed, 0)), duration: max(c.Duration, 100*time.Millisecond), report: &report,
		longest: mostTime + time.Duration(c.Events)*100*time.Microsecond,
		reaped: func(j job) {
			for i := range j.Tracers {
				recording.Gone(tracerNumber(j.Worker, i))
			}
		},
		progress: func() { c.Progress(fmt.Sprintf("%d events, %d kills", recording.Len(), report.Kills)) },
		enough: func() bool {
			return recording.Len() >= c.Events && report.Kills >= MinKills && report.Commits >= MinCommits
		},
	}
	var roots []string
	if d.jobs, roots, err = prepare(dir, job{Kernel: c.kernel, Recording: at}); err != nil {
		return report, environment(err)
	}
	report.Roots = len(roots)
	before, err := proc.OpenDescriptors()
	if err != nil {
		return report, environment(err)
	}
	if err = d.run(ctx); err != nil {
		return report, err // what was found before stays found
	}
	for _, root := range roots {
		report.Problems = append(report.Problems, left(ctx, root)...)
	}
	leaked, err := before.Leaked()
	for _, descriptor := range leaked {
		report.Problems = append(report.Problems, "the parent leaked "+descriptor)
	}
	c.Progress("validating")
	if err == nil {
		err = report.judge(ctx, recording, d.shared)
	}
	if err != nil {
		return report, environment(err)
	}
	if report.Validation.Verdict != trace.Valid {
		report.Saved, err = save(recording, c)
	}
	return report, err
}

// environment marks an error of the preparations as one that says nothing about
// the library. The context's errors and errors.ErrUnsupported stay what they are.
func environment(err error) error {
	for _, other := range []error{context.Canceled, context.DeadlineExceeded, errors.ErrUnsupported} {
		if errors.Is(err, other) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrEnvironment, err)
}

// prepare makes the roots, and says who works in them.
func prepare(dir string, j job) (jobs []job, roots []string, err error) {
	for i, g := range groups {
		j.Work, j.Named, j.Tracers = filepath.Join(dir, "group-"+strconv.Itoa(i)), g.named, 1
		j.Root = filepath.Join(j.Work, "root")
		for _, path := range []string{j.Work, j.Root, filepath.Join(j.Work, "build"), filepath.Join(j.Work, "victims"), filepath.Join(j.Work, "committed")} {
			if err := os.Mkdir(path, 0o700); err != nil {
				return nil, nil, err
			}
		}
		if err := os.WriteFile(filepath.Join(j.Work, fileName), []byte("content"), 0o600); err != nil {
			return nil, nil, err
		}
		roots = append(roots, j.Root)
		if g.shared {
			j.Tracers = groupSize
			jobs = append(jobs, j)
			continue
		}
		for i := range groupSize {
			j.Recovers = i == 0
			jobs = append(jobs, j)
		}
		j.Recovers = false
	}
	return jobs, roots, nil
}

// left recovers a root once more, and says what is still there.
func left(ctx context.Context, path string) (problems []string) {
	problem := func(err error) {
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	root, err := tempdir.Open(path, tempdir.OrphanGrace(0))
	if err != nil {
		return []string{err.Error()}
	}
	_, err = root.Recover(ctx)
	problem(err)
	problem(root.Close())
	entries, err := os.ReadDir(path)
	problem(err)
	for _, entry := range entries {
		problem(fmt.Errorf("left in the root after the last recovery: %q", entry.Name()))
	}
	return problems
}

// tracerNumber is the number of one tracer of a worker in the trace.
func tracerNumber(worker, i int) uint32 { return uint32(worker)*8 + uint32(i) }

// judge validates what was recorded.
func (r *Report) judge(ctx context.Context, recording *trace.Recording, shared map[int]bool) error {
	begin := time.Now()
	t, err := recording.Trace()
	if err != nil {
		return err
	}
	for i := range t.Events {
		if process := t.Events[i].Process; shared[int(process/8)] {
			r.GoroutineEvents++
		} else if process != 0 {
			r.ProcessEvents++
		}
	}
	r.Validation, err = trace.Validate(ctx, t)
	r.Judging = time.Since(begin)
	return err
}

// save writes the trace to where it stays.
func save(recording *trace.Recording, c Config) (string, error) {
	t, err := recording.Trace()
	for i := 0; i < 1000 && err == nil; i++ {
		path := filepath.Join(c.Keep, fmt.Sprintf("afterlock-trace-%d-%d", c.Seed, i))
		if err := t.Save(path); !os.IsExist(err) {
			return path, err
		}
	}
	return "", cmp.Or(err, fmt.Errorf("%w: %s is full of traces", ErrEnvironment, c.Keep))
}
