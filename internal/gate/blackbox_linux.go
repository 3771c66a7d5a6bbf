package gate

import (
	"context"
	"fmt"
	"strings"

	"github.com/afterlock/afterlock/crashsim/blackbox"
)

// runBlackBox crashes, starves and schedules this command and the drivers in it from
// outside. It works in memory, where a crash leaves what it leaves anywhere else and
// takes a third of the time; deep, on the file system that was chosen.
func runBlackBox(ctx context.Context, env Env) (Result, error) {
	dir := env.Memory
	if env.Deep {
		dir = env.Scratch
	}
	report, err := blackbox.Run(ctx, blackbox.Options{
		Dir: dir, Seed: env.Seed, Deep: env.Deep,
		ShardI: env.Shard.I, ShardN: env.Shard.N,
		Progress: env.Progress,
	})
	result := Result{
		Ran:      fmt.Sprintf("%d programs under a seccomp supervisor%s", report.Programs, phases(report.Phases)),
		Counts:   blackBoxCounts(report, env.Shard.N > 1),
		Problems: report.Problems,
	}
	if report.More > 0 {
		result.Problems = append(result.Problems, fmt.Sprintf("and %d more", report.More))
	}
	return skipIfUnsupported(result, err)
}

// phases says how long each took, in seconds.
func phases(list []blackbox.Phase) string {
	var words []string
	for _, p := range list {
		words = append(words, fmt.Sprintf("%s %.1f s", p.Name, p.Took.Seconds()))
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

// blackBoxCounts asserts what a run has to have done. A shard does its part, and
// every part does something.
func blackBoxCounts(r blackbox.Report, shard bool) []Count {
	least := func(name string, n, min int) Count {
		if shard {
			min = 1
		}
		return AtLeast(name, int64(n), int64(min))
	}
	counts := []Count{
		least("crash points", r.CrashPoints, 300),
		least("of recoveries", r.NestedPoints, 8000),
		least("states of the disk", r.States, 600),
		least("processes killed", r.Kills, r.CrashPoints),
		least("recoveries killed", r.NestedKills, 500),
		least("calls answered with errnos", r.Faults, 2000),
		least("of them reported", r.Refused, 1000),
		least("schedules", r.Schedules+r.Exhaustive, 1000),
		least("schedules of the layer store", r.StoreSchedules+r.StoreExhaustive, 500),
		Never("of them lost data", int64(r.Lost)),
	}
	if !shard {
		counts = append(counts, least("random schedules until the fixture did", r.FixtureRandom, 1))
	}
	return counts
}
