package gate

import (
	"context"
	"fmt"
	"time"

	"github.com/afterlock/afterlock/linearizability"
)

// lifecycleStage is the layer store at size: layers of many files, deleted and made
// by processes that are killed, also in the middle of a removal.
type lifecycleStage struct{}

func (lifecycleStage) Name() string { return "lifecycle" }

func (lifecycleStage) Description() string {
	return "the layer store at size: killed processes make and delete layers of many files, others recover"
}

const (
	largeFiles         = 200 // in each layer
	minLargeHistories  = 8
	deepLargeHistories = 100
)

func (lifecycleStage) Run(ctx context.Context, env Env) (Result, error) {
	config := linearizability.Config{
		Dir: env.Scratch, Keep: env.Dir, Images: env.Memory, Seed: env.Seed, Duration: env.Duration, Log: env.Log, Progress: env.Progress,
		Processes: minLargeHistories, Files: largeFiles, Timeout: time.Minute,
	}
	if env.Deep {
		config.Processes = deepLargeHistories
	}
	r, err := linearizability.Run(ctx, config)
	return skipIfUnsupported(lifecycleResult(r, config), err)
}

// lifecycleResult judges what a run found.
func lifecycleResult(r linearizability.Report, c linearizability.Config) Result {
	result := Result{
		Ran: fmt.Sprintf("%d histories of killed processes, %d files in a layer, on %s, image stores on %s", r.Processes, c.Files, r.FileSystem, r.Images),
		Counts: []Count{
			AtLeast("histories", r.Processes, minLargeHistories),
			AtLeast("additions", r.Answers["create ok"], 20),
			AtLeast("deletions", r.Answers["delete ok"], 2),
			AtLeast("layers read whole", r.Answers["read ok"], 12),
			AtLeast("kills", r.Kills, 25),
			AtLeast("inside removals", r.Removing, 6),
			AtLeast("recoveries that left nothing", r.CleanedUp, minLargeHistories),
			AtLeast("store locks watched", r.Held, 25),
			Never("removals under them", r.Under),
			Never("illegal", r.Illegal),
		},
		Problems: r.Problems,
		Flags:    []string{"--dir", c.Keep},
	}
	if c.Duration > 0 {
		result.Flags = append(result.Flags, "--duration", c.Duration.String())
	}
	result.undecided(r)
	return result
}
