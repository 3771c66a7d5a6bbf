package gate

import (
	"context"
	"fmt"

	"github.com/afterlock/afterlock/crashsim"
)

// What a whole run counts at least; a shard does its part of the states.
const (
	minCrashStates  = 100_000
	minCrashTrees   = 1_000
	minCrashNested  = 1_000
	minInterleaved  = 10_000
	minModelsTested = 3
)

// runCrash runs the library on the simulated disk.
func runCrash(ctx context.Context, env Env) (Result, error) {
	shard := crashsim.Shard{I: env.Shard.I, N: env.Shard.N}
	parts := int64(max(shard.N, 1))
	r, err := crashsim.Run(ctx, crashsim.Options{Deep: env.Deep, Shard: shard, Progress: env.Progress})
	if err != nil {
		return skipIfUnsupported(Result{Problems: r.Problems()}, err)
	}
	result := Result{
		Ran: fmt.Sprintf("%d states of a simulated disk under %d durability models, %.0f a second and core (%.1f s)",
			r.Counts.States, len(r.PerModel), r.StatesPerSecond(), r.Elapsed.Seconds()),
		Counts: []Count{
			AtLeast("interleavings", r.Counts.Interleavings, minInterleaved),
			AtLeast("crash points", r.Counts.CrashPoints, minCrashNested/parts),
			AtLeast("of them in recovery", r.Counts.Nested, minCrashNested/parts),
			AtLeast("states", r.Counts.States, minCrashStates/parts),
			AtLeast("trees", r.Counts.Trees, minCrashTrees/parts),
			AtLeast("recoveries", r.Counts.Recoveries, minCrashTrees/parts),
			AtLeast("models", int64(len(r.PerModel)), minModelsTested),
			Never("findings", int64(len(r.Findings))),
		},
		Problems: r.Problems(),
	}
	return result, nil
}
