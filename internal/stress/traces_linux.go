package stress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/afterlock/afterlock/model/conformance/trace"
)

const (
	// groupSize is how many processes of the model work in one root: the model
	// has room for an instance's owner and three that recover it.
	groupSize = 3

	traceEvents = 150_000         // recorded by default
	traceTime   = 2 * time.Minute // within which they have to be, and 100 µs for each
	traceFiles  = 2               // in every tree
)

// A group is what works in one root.
type group struct {
	shared bool // goroutines of one operating system process; else a process each
	named  bool // as on a file system without unnamed files
}

var groups = []group{{shared: false, named: false}, {shared: false, named: true}, {shared: true, named: false}, {shared: true, named: true}}

// Traces records goroutines and processes that create, stage, commit, close and
// recover freely in several roots while they are killed at random moments and
// calls fail now and then, for the duration (default 100 ms) and until there are
// the events asked for (default 150,000), and validates the trace. If it is not valid, a copy stays in the
// directory of the configuration.
//
// Every worker that holds locks starts no process: between fork and exec a child
// shares its parent's open file descriptions, and a lock that the parent has
// closed lasts until the exec. That harms nobody (the instance is skipped as
// live), and the model has no fork.
//
// The error is the context's, matches [errors.ErrUnsupported], or matches
// [ErrEnvironment]. What the library did wrong is in the report.
func Traces(ctx context.Context, c Config) (report TracesReport, err error) {
	c = c.withDefaults(100*time.Millisecond, 0, 0)
	if c.Events == 0 {
		c.Events = traceEvents
	}
	report.Roots = len(groups)
	s, err := openScratch(c)
	if err != nil {
		return report, err
	}
	defer func() { err = s.remove(err) }()
	report.FileSystem = s.fileSystem
	recording, err := trace.Create(filepath.Join(s.path, "recording"), 2*c.Events, traceFiles)
	if err != nil {
		return report, environment(err)
	}
	defer recording.Close()
	f := fleet{
		rng: rand.New(rand.NewPCG(c.Seed, 0)), duration: c.Duration, longest: traceTime + time.Duration(c.Events)*100*time.Microsecond, kill: true,
		reaped: func(j job) {
			for i := range max(j.Tracers, 1) {
				recording.Gone(tracerNumber(j.Worker, i))
			}
		},
	}
	f.progress = func(string) { c.Progress(fmt.Sprintf("%d events, %d kills", recording.Len(), f.kills)) }
	f.enough = func() bool { return recording.Len() >= c.Events && f.kills >= MinTraceKills }
	roots, err := f.groups(c, s.path, filepath.Join(s.path, "recording"))
	if err != nil {
		return report, environment(err)
	}
	before, err := openDescriptors()
	if err != nil {
		return report, environment(err)
	}
	err = f.run(ctx)
	report.Recording, report.Kills, report.Problems = f.elapsed, f.kills, f.problems
	if err != nil {
		return report, err // what was found before stays found
	}
	for _, root := range roots {
		report.Problems = append(report.Problems, cleanRoot(ctx, root)...)
	}
	report.Problems = append(report.Problems, s.clean(ctx, before)...)
	c.Progress("validating")
	if err := report.judge(ctx, recording, f.shared); err != nil {
		return report, environment(err)
	}
	if report.Validation.Verdict != trace.Valid {
		report.Saved, err = save(recording, c)
	}
	return report, err
}

// groups prepares the roots and the jobs in them.
func (f *fleet) groups(c Config, scratch, recording string) (roots []string, err error) {
	for i, g := range groups {
		work := filepath.Join(scratch, "group-"+strconv.Itoa(i))
		j := job{
			Role: roleTraced, Kernel: c.creatorKernel, Root: filepath.Join(work, "root"), Work: work,
			Recording: recording, Named: g.named, Tracers: 1,
		}
		for _, path := range []string{work, j.Root, filepath.Join(work, "build"), filepath.Join(work, "victims"), filepath.Join(work, "committed")} {
			if err := os.Mkdir(path, 0o700); err != nil {
				return nil, err
			}
		}
		if err := os.WriteFile(filepath.Join(work, fileName), []byte("content"), 0o600); err != nil {
			return nil, err
		}
		roots = append(roots, j.Root)
		if g.shared {
			j.Tracers = groupSize
			f.jobs = append(f.jobs, j)
			continue
		}
		for range groupSize {
			f.jobs = append(f.jobs, j)
		}
	}
	return roots, nil
}

// tracerNumber is the number of one tracer of a worker in the trace.
func tracerNumber(worker, i int) uint32 { return uint32(worker)*8 + uint32(i) }

// judge validates what was recorded.
func (r *TracesReport) judge(ctx context.Context, recording *trace.Recording, shared map[int]bool) error {
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

// save copies the trace to where it stays.
func save(recording *trace.Recording, c Config) (string, error) {
	for i := range 1000 {
		path := filepath.Join(c.Keep, fmt.Sprintf("afterlock-trace-%d-%d", c.Seed, i))
		if err := recording.Save(path); !os.IsExist(err) {
			return path, err
		}
	}
	return "", fmt.Errorf("%w: %s is full of traces", ErrEnvironment, c.Keep)
}
