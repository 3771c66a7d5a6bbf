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
	largeFiles         = 250 // in each layer
	minLargeHistories  = 12
	deepLargeHistories = 120
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
		Ran: fmt.Sprintf("%d histories of killed processes, on %s, image stores on %s", r.Processes, r.FileSystem, r.Images),
		Counts: []Count{
			AtLeast("histories", r.Processes, minLargeHistories),
			AtLeast("files in a layer", int64(c.Files), largeFiles),
			AtLeast("additions", r.Answers["create ok"], 30),
			AtLeast("deletions", r.Answers["delete ok"], 10),
			AtLeast("layers read whole", r.Answers["read ok"], 20),
			AtLeast("kills", r.Kills, 40),
			AtLeast("inside removals", r.Removing, 3),
			AtLeast("recoveries that left nothing", r.CleanedUp, minLargeHistories),
			AtLeast("store locks watched", r.Held, 40),
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
