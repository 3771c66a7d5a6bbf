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
