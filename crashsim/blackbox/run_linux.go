//go:build amd64 || arm64

package blackbox

import (
	"context"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Run runs all of it. It returns an error that matches
// [errors.ErrUnsupported] where processes cannot be supervised, and other
// errors if the checks could not be made. What is wrong with the programs is in
// the report's problems.
func Run(ctx context.Context, o Options) (Report, error) {
	return (&campaign{Options: o}).run(ctx)
}

func (c *campaign) run(ctx context.Context) (Report, error) {
	err := c.in(func(dir string) error {
		if err := c.openWorkers(dir); err != nil {
			return err
		}
		for _, phase := range []struct {
			name string
			run  func(context.Context) error
		}{{"crashes", c.crashes}, {"errnos", c.faults}, {"schedules", c.schedules}} {
			if c.Phase != "" && c.Phase != phase.name {
				continue
			}
			begin := time.Now()
			if err := phase.run(ctx); err != nil {
				return err
			}
			c.report.Phases = append(c.report.Phases, Phase{phase.name, time.Since(begin)})
		}
		return nil
	})
	return c.report, err
}

// in does the work with a scratch directory, and cleans up.
func (c *campaign) in(work func(dir string) error) error {
	dir, err := os.MkdirTemp(c.Dir, "afterlock-box-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if c.Command == "" {
		c.Command = self
	}
	defer c.close()
	return work(dir)
}

// sampledStates is of how many states of a store one has its recovery killed for
// real. The states on the way of every recovery are looked at anyway.
const sampledStates = 8

// crashes crashes every program everywhere. Every shard traces all programs, so
// that the kills have something to be compared with.
func (c *campaign) crashes(ctx context.Context) error {
	all := programs()
	traces := make([]*trace, len(all))
	err := c.every(ctx, len(all), func(w *worker, i int) (err error) {
		c.progress("crash points of %s", all[i].name)
		traces[i], err = c.traceProgram(w, &all[i])
		return err
	})
	if err != nil {
		return err
	}
	for _, t := range traces { // in this order, so that every shard counts the same
		t.states = c.claim(t.program, t.states)
	}
	err = c.each(ctx, len(all), func(w *worker, i int) error {
		c.progress("crashes of the recovery of %s", all[i].name)
		return c.nest(ctx, w, traces[i])
	})
	if err != nil {
		return err
	}
	type kill struct {
		trace *trace
		at    int    // the program, before this call
		from  *state // or the recovery, from there
	}
	var kills []kill
	for _, t := range traces {
		for k := range t.calls {
			if t.mutating[k] || t.program.store == "" || c.Deep {
				kills = append(kills, kill{t, k + 1, nil})
			}
		}
		for i := range t.states {
			if t.program.store == "" || c.Deep || i%sampledStates == 0 {
				kills = append(kills, kill{t, 0, &t.states[i]})
			}
		}
	}
	c.progress("killing programs and recoveries")
	return c.each(ctx, len(kills), func(w *worker, i int) error {
		k := kills[i]
		if k.from != nil {
			return c.killRecovery(w, k.trace.program, *k.from)
		}
		return c.killProgram(w, k.trace, k.at)
	})
}

// faults answers calls with errnos. A start of the command costs as much as a
// whole run of a driver, so it gets the first errno only, unless deep, and so do
// additions of layers, which make many calls. Their deletions get ENOSPC as well,
// which leads them another way. A group of deletions gets none: each has an outcome of
// its own then.
func (c *campaign) faults(ctx context.Context) error {
	type fault struct {
		program program
		errno   unix.Errno
	}
	var faults []fault
	for _, p := range programs() {
		if p.group {
			continue
		}
		for i, errno := range errnos {
			if i == 0 || c.Deep || p.serves && (p.store == "" || i == 1 && len(p.additions) == 0) {
				faults = append(faults, fault{p, errno})
			}
		}
	}
	return c.each(ctx, len(faults), func(w *worker, i int) error {
		f := faults[i]
		c.progress("%s at every call of %s", unix.ErrnoName(f.errno), f.program.name)
		return c.failProgram(w, &f.program, f.errno)
	})
}

// How many schedules are played of each contest at random, and how many the
// fixture gets to lose data in.
const (
	randomSchedules  = 300
	storeSchedules   = 40
	deepSchedules    = 10_000
	deepStore        = 1_000
	fixtureSchedules = 5_000
	fixtureSeed      = 1 // fixed, so that a changed fixture is noticed
	preemptedContest = "tempdir-delete"
	fixtureContest   = "upstream-delete"
)

// schedules plays schedules: of tempdir, and of the fixture of upstream until it
// loses data.
func (c *campaign) schedules(ctx context.Context) error {
	n := randomSchedules
	if c.Deep {
		n = deepSchedules
	}
	for _, name := range []string{"tempdir-delete", "tempdir-add"} {
		contest := findContest(name)
		c.progress("%d random schedules of %s", n, name)
		if err := c.random(ctx, contest, n); err != nil {
			return err
		}
	}
	contest := findContest(preemptedContest)
	c.progress("every schedule of %s with two preemptions", preemptedContest)
	if err := c.preempted(ctx, contest, 2); err != nil {
		return err
	}
	if err := c.storeSchedules(ctx); err != nil {
		return err
	}
	fixture := findContest(fixtureContest)
	c.progress("random schedules of the fixture of upstream")
	w := c.workers[0]
	var err error
	c.report.FixtureRandom, _, err = w.untilLost(ctx, fixture, fixtureSeed, fixtureSchedules)
	if err == nil && c.report.FixtureRandom == 0 {
		c.problem(played(fixture, nil), "the fixture of upstream loses nothing in any of its random schedules")
	}
	return err
}

// storeSchedules plays schedules of a layer store.
func (c *campaign) storeSchedules(ctx context.Context) error {
	n := storeSchedules
	if c.Deep {
		n = deepStore
	}
	for i, contest := range storeContests() {
		c.progress("%d random schedules of %s", n, contest.name)
		if err := c.random(ctx, &contest, n); err != nil {
			return err
		}
		if i%3 != 0 && !c.Deep {
			continue // a conflict in one layout and none in the other will do
		}
		c.progress("every schedule of %s with one preemption", contest.name)
		if err := c.preempted(ctx, &contest, 1); err != nil {
			return err
		}
	}
	return nil
}
