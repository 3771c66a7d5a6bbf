package gate

import (
	"context"
	"fmt"

	"github.com/afterlock/afterlock/fuzz"
)

// What a whole run counts at least; a shard draws its part of the programs.
const (
	fuzzPrograms   = 30_000
	minFuzzCorpus  = 10
	minFuzzClasses = 1500
	minFuzzShard   = 1000 // programs
)

// runFuzz plays drawn programs on the simulated disk.
func runFuzz(ctx context.Context, env Env) (Result, error) {
	parts := int64(max(env.Shard.N, 1))
	o := fuzz.Options{Seed: env.Seed*uint64(parts) + uint64(env.Shard.I), Executions: max(fuzzPrograms/parts, minFuzzShard), Least: env.Duration}
	if env.Deep {
		o.Executions *= 20
	}
	env.Progress("programs")
	r, err := fuzz.Campaign(ctx, o)
	if err != nil {
		return skipIfUnsupported(Result{}, err)
	}
	env.Progress("canary")
	canary, err := fuzz.Campaign(ctx, fuzz.Options{Seed: o.Seed, Executions: 10 * fuzzPrograms, Canary: true})
	if err != nil {
		return Result{}, err
	}
	found := int64(0)
	if len(canary.Problems) > 0 {
		found = 1
	}
	least := o.Executions
	if len(r.Problems) > 0 {
		least = 0
	}
	return Result{
		Ran: fmt.Sprintf("%d programs in %.1f s, and the planted failure found after %d", r.Executions, r.Elapsed.Seconds(), canary.Executions),
		Counts: []Count{
			AtLeast("of the corpus", int64(r.Corpus), minFuzzCorpus),
			AtLeast("programs", r.Executions, least),
			AtLeast("kept", int64(r.Kept), minFuzzCorpus),
			AtLeast(fmt.Sprintf("of %d classes of the model", r.Of), int64(r.Classes), max(minFuzzClasses/parts, 100)),
			AtLeast("canaries", found, 1),
			Never("undecided", r.Undecided),
			Never("findings", int64(len(r.Problems))),
		},
		Problems: r.Problems,
		Repeat:   r.Repeat,
	}, nil
}
