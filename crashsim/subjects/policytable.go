package subjects

import (
	"fmt"
	"slices"
	"time"
)

// A policy says when a store recovers.
type policy struct {
	name    string
	variant string
	where   string        // recovery is called
	timer   time.Duration // another process recovers now and then; 0: none does
}

const policyTimer = 10 * time.Second

var policies = []policy{
	{name: "released", variant: "released", where: "load and Init, under the locks"},
	{name: "compat", variant: "compat", where: "load and Init, under the locks"},
	{name: "everylock", variant: "compat-everylock", where: "startWriting, under its lock"},
	{name: "idle", variant: "compat-idle", where: "startWriting, every 10 s, if a look says so"},
	{name: "detached", variant: "compat-detached", where: "load, by go; Init, under its lock"},
	{name: "opened-50ms", variant: "compat-opened-50ms", where: "GetStore, no lock, for 50 ms; every 10 s"},
	{name: "patched-opened", variant: "patched-opened", where: "as docs/UPSTREAM.md: GetStore, no lock, until done"},
	{name: "timer", variant: "compat-timer", where: "another process, every 10 s", timer: policyTimer},
}

// Trace is the trace that [Workshop.Policies] replays.
func (o Run) Trace() Trace { return NewTrace(o.Seed, 1000, 20) }

// A bystander is what one replay showed.
type bystander struct {
	waits     []time.Duration // of commands that delete nothing, within the store
	looks     []time.Duration // of those that neither pull
	deletions []time.Duration
	kills     []killing
	notBack   int64 // bytes that a recovery at the end gave back
	failed    []string
	damaged   []string
	load      string // of the minute before
}

// A killing is what one kill left.
type killing struct {
	bytes int64         // that were left
	after time.Duration // until they were gone, or the replay over
	back  bool
}

// share returns the smallest time that this share of all is not longer than.
func share(of []time.Duration, share float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(of))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// back returns the times until space was back, and how many kills it was not.
func (b bystander) back() (times []time.Duration, never int) {
	for _, k := range b.kills {
		if k.back {
			times = append(times, k.after)
		} else {
			never++
		}
	}
	return times, never
}

// held returns how much space was taken for how long by what killed processes left.
func (b bystander) held() (mibSeconds float64) {
	for _, k := range b.kills {
		mibSeconds += float64(k.bytes) / (1 << 20) * k.after.Seconds()
	}
	return mibSeconds
}

func (b bystander) String() string {
	times, never := b.back()
	return fmt.Sprintf("p50 %v, p99 %v, max %v of %d; deletions max %v of %d; %d failed; %d kills, back %v to %v, %d never; load %s",
		share(b.waits, .5), share(b.waits, .99), share(b.waits, 1), len(b.waits), share(b.deletions, 1), len(b.deletions),
		len(b.failed), len(b.kills), share(times, 0), share(times, 1), never, b.load)
}

// medianOf returns the median of what is measured in each run.
func medianOf[T int | int64 | float64 | time.Duration](runs []bystander, measure func(b bystander) T) T {
	var all []T
	for _, b := range runs {
		all = append(all, measure(b))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// policyTables has what was measured, and what went wrong.
func policyTables(report *Report, trace Trace, chosen []policy, runs [][]bystander) {
	waits := report.Table(fmt.Sprintf("the bystander: commands that delete nothing, in one trace (seed %d, %d commands, %d kills); medians of %d runs",
		trace.Seed, len(trace.Commands), len(trace.Victims), len(runs[0])),
		"policy", "recovers in", "p50", "p99", "longest", "p99 without pulls", "longest without", "p99 of deletions", "failed", "damaged", "load")
	space := report.Table("space after a kill, until all of it is back; medians of the runs",
		"policy", "kills", "median", "longest", "never", "MiB·s", "MiB at the end")
	for i, p := range chosen {
		of := runs[i]
		failed, damaged, kills, counted, loads := 0, 0, len(of[0].kills), len(of[0].waits), ""
		for _, b := range of {
			failed, damaged = failed+len(b.failed), damaged+len(b.damaged)
			kills, counted = min(kills, len(b.kills)), min(counted, len(b.waits))
			loads += " " + b.load
			for _, problem := range slices.Concat(b.failed, b.damaged) {
				if p.variant == "released" {
					report.Note("%s: %s", p.name, problem)
				} else {
					report.Problem("%s: %s", p.name, problem)
				}
			}
		}
		report.AtLeast(kills, len(trace.Victims)*3/4, "kills in time, "+p.name)
		report.AtLeast(counted, len(trace.Commands)/2, "commands that delete nothing, "+p.name)
		waits.Row(p.name, p.where,
			medianOf(of, func(b bystander) time.Duration { return share(b.waits, .5) }),
			medianOf(of, func(b bystander) time.Duration { return share(b.waits, .99) }),
			medianOf(of, func(b bystander) time.Duration { return share(b.waits, 1) }),
			medianOf(of, func(b bystander) time.Duration { return share(b.looks, .99) }),
			medianOf(of, func(b bystander) time.Duration { return share(b.looks, 1) }),
			medianOf(of, func(b bystander) time.Duration { return share(b.deletions, .99) }),
			failed, damaged, loads[1:])
		space.Row(p.name, kills,
			medianOf(of, func(b bystander) time.Duration { times, _ := b.back(); return share(times, .5) }),
			medianOf(of, func(b bystander) time.Duration { times, _ := b.back(); return share(times, 1) }),
			medianOf(of, func(b bystander) int { _, never := b.back(); return never }),
			int(medianOf(of, bystander.held)),
			medianOf(of, func(b bystander) int { return int(b.notBack >> 20) }))
	}
}
