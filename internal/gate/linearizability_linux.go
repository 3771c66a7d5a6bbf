package gate

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/afterlock/afterlock/linearizability"
)

// What has to be recorded at least; the stage is undecided with less.
const (
	minGoroutineHistories = 200
	minProcessHistories   = 100
	minOperations         = 20_000
	minHistoryKills       = 300
)

// runLinearizability records histories of the layer store and judges them.
func runLinearizability(ctx context.Context, env Env) (Result, error) {
	config := histories(env)
	config.Goroutines, config.Processes = minGoroutineHistories, minProcessHistories
	if env.Deep {
		config.Goroutines, config.Processes = 10*config.Goroutines, 10*config.Processes
	}
	r, err := linearizability.Run(ctx, config)
	return skipIfUnsupported(linearizabilityResult(r), err)
}

// histories is how they are recorded, but for how many.
func histories(env Env) linearizability.Config {
	return linearizability.Config{
		Dir: env.Scratch, Keep: env.Dir, Images: env.Memory, Seed: env.Seed, Log: env.Log, Progress: env.Progress,
		Timeout: time.Minute, // for what takes milliseconds: slow machines are not undecided
	}
}

// linearizabilityResult judges what a run found.
func linearizabilityResult(r linearizability.Report) Result {
	result := Result{
		Ran: fmt.Sprintf("%d histories of goroutines and %d of killed processes, on %s, image stores on %s", r.Goroutines, r.Processes, r.FileSystem, r.Images),
		Counts: []Count{
			AtLeast("histories of goroutines", r.Goroutines, minGoroutineHistories),
			AtLeast("of processes", r.Processes, minProcessHistories),
			AtLeast("in layout vfs", r.Layouts["vfs"], 100),
			AtLeast("overlay", r.Layouts["overlay"], 100),
			AtLeast("with an image store", r.WithImages, 100),
			AtLeast("on a full disk", r.Full, 50),
			AtLeast("operations", r.Operations, minOperations),
			AtLeast("cut off", r.CutOff, 100),
			AtLeast("refused", r.Refused, 1000),
			AtLeast("kills", r.Kills, minHistoryKills),
			AtLeast("before chosen calls", r.AtCalls, 100),
			AtLeast("sorts of answers", int64(len(linearizability.Answers)-len(r.Unanswered())), int64(len(linearizability.Answers))),
			AtLeast("recoveries that left nothing", r.CleanedUp, r.Goroutines+r.Processes),
			Never("illegal", r.Illegal),
		},
		Problems: r.Problems,
	}
	if r.SameSystem {
		result.Skips = append(result.Skips, Skip{"image stores on another file system", "there is none that this user may write to"})
	}
	if missing := r.Unanswered(); len(missing) > 0 {
		result.Undecided = true
		result.Because = "no operation answered: " + strings.Join(missing, ", ")
	}
	result.undecided(r)
	return result
}

const (
	largeFiles         = 200 // in each layer
	minLargeHistories  = 8
	deepLargeHistories = 100
)

// runLifecycle records the layer store at size: layers of many files, deleted and made
// by processes that are killed, also in the middle of a removal.
func runLifecycle(ctx context.Context, env Env) (Result, error) {
	config := histories(env)
	config.Processes, config.Files, config.Duration = minLargeHistories, largeFiles, env.Duration
	if env.Deep {
		config.Processes = deepLargeHistories
	}
	r, err := linearizability.Run(ctx, config)
	return skipIfUnsupported(lifecycleResult(r), err)
}

// lifecycleResult judges what a run found.
func lifecycleResult(r linearizability.Report) Result {
	result := Result{
		Ran: fmt.Sprintf("%d histories of killed processes, %d files in a layer, on %s, image stores on %s", r.Processes, largeFiles, r.FileSystem, r.Images),
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
	}
	result.undecided(r)
	return result
}

// undecided takes the histories over that Porcupine could not decide about: not
// wrong, for all that is known, and not ok.
func (result *Result) undecided(r linearizability.Report) {
	if r.Undecided > 0 {
		result.Undecided = true
		result.Because = fmt.Sprintf("%d histories are undecided: %s", r.Undecided, strings.Join(r.Because, "; "))
	}
}
