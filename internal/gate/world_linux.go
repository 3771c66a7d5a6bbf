package gate

import (
	"context"
	"fmt"
	"strings"

	"github.com/afterlock/afterlock/internal/bench/worlds"
)

// runWorlds plays programs in places that differ in many respects at once.
func runWorlds(ctx context.Context, env Env) (Result, error) {
	seed := uint64(1) // the same worlds everywhere, of which every shard plays its part
	if env.Deep && env.Shard.N <= 1 {
		seed = env.Seed
	}
	r, err := worlds.Run(ctx, worlds.Options{
		Dir: env.Scratch, Seed: seed, Deep: env.Deep,
		ShardI: env.Shard.I, ShardN: env.Shard.N, Progress: env.Progress,
	})
	for _, refused := range r.Refused {
		env.Log.Debug("cannot be had here", "values", refused)
	}
	return worldsResult(r, env.Shard.N > 1), err
}

// How many worlds are played at least: by an ordinary user, who may not mount, nor become
// somebody else; and where all values can be had, which leaves nearly all combinations.
const (
	minWorlds    = 120
	minAllWorlds = 500
	minPossible  = 90 // percent
)

func worldsResult(r worlds.Report, shard bool) Result {
	worlds, possible := int64(minWorlds), int64(1)
	if len(r.Values) == 0 {
		worlds, possible = minAllWorlds, int64(r.Combinations)*minPossible/100
	}
	result := Result{
		Ran: fmt.Sprintf("%d worlds; %d of %d combinations of values cannot be had here", r.Worlds, r.Combinations-r.Possible, r.Combinations),
		Counts: []Count{
			AtLeast("worlds", int64(r.Worlds), worlds),
			AtLeast("combinations covered", int64(r.Covered), max(int64(r.Possible), possible)),
		},
		Problems: r.Findings,
	}
	if shard {
		for i := range result.Counts {
			result.Counts[i].Min = 1
		}
	}
	for _, value := range r.Values {
		what, why, _ := strings.Cut(value, ": ")
		result.Skips = append(result.Skips, Skip{"worlds with " + what, why})
	}
	return result
}
