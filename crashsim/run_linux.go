package crashsim

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// A Shard is one of N parts of an enumeration: part I, from 1. The zero value is
// all of it.
type Shard struct{ I, N int }

// Options are what to enumerate. The zero value is everything that the gate
// wants.
type Options struct {
	Scenarios []Scenario // default: [Scenarios]
	Nested    int        // crashes inside recovery, one in another; default 1, with Deep 2; negative: none
	Deep      bool       // larger scenarios
	Shard     Shard
	First     bool // of each scenario and model, stop soon after the first finding

	// Progress shows one line of what is being done; may be nil.
	Progress func(text string)
}

// Counts are what was done; see the package comment for the words.
type Counts struct {
	Interleavings int64 // states of the search: where each process is, and the disk
	Steps         int64 // calls made while searching, again ones included
	CrashPoints   int64
	States        int64
	Trees         int64
	Recoveries    int64
	Nested        int64 // of the crash points, those inside recovery
}

func (c *Counts) add(d Counts) {
	c.Interleavings += d.Interleavings
	c.Steps += d.Steps
	c.CrashPoints += d.CrashPoints
	c.States += d.States
	c.Trees += d.Trees
	c.Recoveries += d.Recoveries
	c.Nested += d.Nested
}

// A Found is a finding, with the command that shows it again.
type Found struct {
	world.Finding
	Scenario   Scenario
	Durability string
	Repeat     string // afterlock replay ...
	Trees      int64  // how many trees have such a finding, this one included
}

// String is the finding and the command on two lines.
func (f Found) String() string {
	return fmt.Sprintf("%v (%s, %v; %d trees)\n  %s", f.Finding, f.Durability, f.Scenario, f.Trees, f.Repeat)
}

// A Report says what an enumeration did and found.
type Report struct {
	Counts   Counts
	PerModel map[string]Counts // by durability model
	Findings []Found           // the first one of each claim, scenario and model, in that order
	Elapsed  time.Duration     // from start to end
	Work     time.Duration     // processor time that this process used meanwhile
}

// StatesPerSecond is the number of states that the process goes through in a
// second of processor time, with everything that is done about them: search,
// hashing, checks and recoveries.
func (r *Report) StatesPerSecond() float64 {
	if r.Work == 0 {
		return 0
	}
	return float64(r.Counts.States) / r.Work.Seconds()
}

// Problems are the findings as text, one each.
func (r *Report) Problems() (lines []string) {
	for _, f := range r.Findings {
		lines = append(lines, f.String())
	}
	return lines
}

// kind is that of the schedules that [Replay] reads.
const kind = "crash"

// A job is one scenario under one durability model.
type job struct {
	scenario Scenario
	model    disk.Durability
	orphans  bool // data without a lock file counts as a finding, also after power loss
}

// Scenarios are what [Run] enumerates if it is not told otherwise.
func Scenarios(deep bool) []Scenario {
	all := []Scenario{
		{Deleters: 1, Victims: 3, Files: 3, Recoverers: 1, Kills: 1},
		{Deleters: 1, Victims: 1, Files: 1, Recoverers: 2},
		{Adders: 1, Files: 2, Recoverers: 1, Kills: 1},
		{Deleters: 1, Adders: 1, Victims: 1, Files: 1},
		{Deleters: 1, Victims: 2, Loose: true, Recoverers: 1, Kills: 1},
	}
	if deep {
		all = append(all,
			Scenario{Deleters: 1, Victims: 3, Files: 3, Recoverers: 1, Kills: 2},
			Scenario{Deleters: 1, Victims: 1, Files: 1, Recoverers: 2, Kills: 1},
			Scenario{Deleters: 1, Victims: 1, Files: 1, Recoverers: 1, Kills: 1, Named: true},
		)
	}
	return all
}

// orderedScenarios are enumerated besides, if Deep, under the model Ordered
// alone. Two processes that change things beside a third that recovers have
// millions of orders of their changes; under the other models each order is a
// state of its own, and the search does not end in minutes.
var orderedScenarios = []Scenario{
	{Deleters: 2, Victims: 1, Files: 1, Recoverers: 1, Kills: 1},
	{Deleters: 1, Adders: 1, Victims: 1, Files: 1, Recoverers: 1, Kills: 1},
}

// jobs are the scenarios under each model, with the fsyncs that it needs: none
// where the file system orders.
func jobs(scenarios []Scenario) (all []job) {
	for _, s := range scenarios {
		for m := range disk.Durabilities {
			model := disk.Durability(m)
			t := s
			if t.Syncs == nil && model != disk.Ordered {
				t.Syncs = AllSyncs
			}
			all = append(all, job{scenario: t, model: model})
		}
	}
	return all
}

// Run enumerates. It returns soon after ctx is done, with what it has and the
// context's error. It takes memory for the trees that it has seen, about 20
// bytes each.
func Run(ctx context.Context, options Options) (Report, error) {
	scenarios := options.Scenarios
	if scenarios == nil {
		scenarios = Scenarios(options.Deep)
	}
	all := jobs(scenarios)
	if options.Scenarios == nil && options.Deep {
		for _, s := range orderedScenarios {
			all = append(all, job{scenario: s, model: disk.Ordered})
		}
	}
	nested := options.Nested
	if nested == 0 {
		nested = 1
		if options.Deep {
			nested = 2
		}
	}
	nested = max(nested, 0)
	return runJobs(ctx, all, nested, options)
}

func runJobs(ctx context.Context, all []job, nested int, options Options) (Report, error) {
	begin, work := time.Now(), processorTime()
	report := Report{PerModel: make(map[string]Counts)}
	results := make([][]Found, len(all))
	var (
		mu     sync.Mutex
		wait   sync.WaitGroup
		failed error
	)
	queue := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := range queue {
				counts, found, err := all[i].run(ctx, nested, options)
				mu.Lock()
				report.Counts.add(counts)
				model := report.PerModel[all[i].model.String()]
				model.add(counts)
				report.PerModel[all[i].model.String()] = model
				results[i] = found
				if err != nil && failed == nil {
					failed = fmt.Errorf("scenario %v under %v: %w", all[i].scenario, all[i].model, err)
				}
				mu.Unlock()
			}
		})
	}
	for i := range all {
		if options.Progress != nil {
			options.Progress(fmt.Sprintf("%v, %v (%d of %d)", all[i].scenario, all[i].model, i+1, len(all)))
		}
		queue <- i
	}
	close(queue)
	wait.Wait()
	report.Findings = slices.Concat(results...)
	report.Elapsed, report.Work = time.Since(begin), processorTime()-work
	return report, failed
}

// processorTime is what this process has used so far, on all processors. Other
// processes on the machine do not count, and this one's garbage collector does.
func processorTime() time.Duration {
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// run goes through one job.
func (j job) run(ctx context.Context, nested int, options Options) (Counts, []Found, error) {
	var found []Found
	note := func(f world.Finding, played []byte, crashes []crash) {
		for i := range found {
			if found[i].Claim == f.Claim {
				found[i].Trees++
				return
			}
		}
		how := schedule.Schedule{Kind: kind, Program: j.scenario.String(), World: j.model.String(), Steps: schedule.FromLetters(played, schedule.Stopped)}
		for i, c := range crashes {
			how.Losses = append(how.Losses, schedule.Loss{At: c.at, Lost: c.lost()})
			if i == 0 {
				how.Losses[0].At = -1
			}
		}
		found = append(found, Found{Finding: f, Scenario: j.scenario, Durability: j.model.String(), Trees: 1, Repeat: "afterlock replay " + how.String()})
	}
	e, err := newExplorer(&j.scenario, j.model)
	if err != nil {
		return Counts{}, nil, err
	}
	c, err := newCrasher(&j.scenario, j.model, nested, options.Shard)
	if err != nil {
		return Counts{}, nil, err
	}
	c.want.NoOrphans = j.orphans
	c.found = func(f world.Finding, crashes []crash, _ uint64) { note(f, e.schedule, crashes) }
	e.found = func(f world.Finding) { note(f, e.schedule, nil) }
	e.changed = func(journal uint64) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.crash(e, journal)
	}
	e.enough = func() bool { return options.First && len(found) > 0 }
	err = e.explore(ctx)
	for _, a := range e.actors {
		a.end()
	}
	c.counts.Interleavings, c.counts.Steps = e.states, e.steps
	slices.SortFunc(found, func(a, b Found) int { return strings.Compare(string(a.Claim), string(b.Claim)) })
	return c.counts, found, err
}
