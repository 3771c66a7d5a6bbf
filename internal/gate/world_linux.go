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

// minWorlds is how many an ordinary user plays at least, who may not mount, nor become
// somebody else.
const minWorlds = 120

func worldsResult(r worlds.Report, shard bool) Result {
	result := Result{
		Ran: fmt.Sprintf("%d worlds; %d of %d combinations of values cannot be had here", r.Worlds, r.Combinations-r.Possible, r.Combinations),
		Counts: []Count{
			AtLeast("worlds", int64(r.Worlds), minWorlds),
			AtLeast("combinations covered", int64(r.Covered), int64(r.Possible)),
		},
		Problems: r.Findings,
	}
	if shard {
		result.Counts = []Count{AtLeast("worlds", int64(r.Worlds), 1)}
	}
	if len(r.Values) > 0 {
		result.Line = "worlds: not here: " + strings.Join(r.Values, "; ")
	}
	return result
}
