package gate

import (
	"context"
	"fmt"
	"strings"

	"github.com/afterlock/afterlock/model/conformance/trace"
	"github.com/afterlock/afterlock/model/conformance/trace/fleet"
)

// How many events are recorded at least.
const (
	traceEvents     = 150_000
	deepTraceEvents = 1_200_000
)

// runTraces records goroutines and processes that are killed, and wants every trace to
// be a behaviour of the specification, and their data whole at every look.
func runTraces(ctx context.Context, env Env) (Result, error) {
	c := fleet.Config{Dir: env.Scratch, Keep: env.Dir, Seed: env.Seed, Duration: env.Duration, Events: traceEvents, Progress: env.Progress}
	if env.Deep {
		c.Events = deepTraceEvents
	}
	env.Log.Debug("recording", "events", c.Events)
	r, err := fleet.Run(ctx, c)
	result := tracesResult(r, c)
	if err != nil {
		return skipIfUnsupported(result, err)
	}
	result.Line = fmt.Sprintf("traces: %d events recorded in %.1f s and validated in %.2f s, %.2f million events a second, %d states at most at one time",
		r.Validation.Events, r.Recording.Seconds(), r.Judging.Seconds(), float64(r.Validation.Events)/1e6/r.Judging.Seconds(), r.Validation.Most)
	return result, nil
}

// tracesResult is what a run shows. The texts of refusals are for afterlock
// check; here is the first line of each, and where the trace is.
func tracesResult(r fleet.Report, c fleet.Config) Result {
	v := &r.Validation
	result := Result{
		Ran: fmt.Sprintf("goroutines and processes in %d roots, on %s", r.Roots, r.FileSystem),
		Counts: []Count{
			AtLeast("events", v.Events, int64(c.Events)*9/10), // a hole is none
			AtLeast("by goroutines", r.GoroutineEvents, 1000),
			AtLeast("by processes", r.ProcessEvents, 1000),
			AtLeast("kills", r.Kills, fleet.MinKills),
			AtLeast("calls cut off", v.CutOff, 1),
			AtLeast("instances validated", v.Instances, 100),
			AtLeast("adoptions", v.Adoptions, 1),
			AtLeast("ghost locks met", v.Ghosts, 1),
			AtLeast("live instances met", v.Busy, 100),
			AtLeast("looks at live data", r.Looks, 500),
			Never("lost", r.Lost),
			AtLeast("commits", r.Commits, fleet.MinCommits),
			Never("partial", r.Partial),
			AtLeast("configurations", v.Configs, v.Operations),
			Never("invalid", v.Counts.Invalid),
		},
		Problems: r.Problems,
	}
	for _, text := range v.Problems {
		first, _, _ := strings.Cut(text, "\n")
		result.Problems = append(result.Problems, first)
	}
	switch v.Verdict {
	case trace.Invalid:
		result.Problems = append(result.Problems, "the trace is kept: afterlock check "+shellQuote(r.Saved))
	case trace.Undecided:
		result.Undecided = true
		result.Because = strings.Join(v.Because, "; ") + "; the trace is kept: afterlock check " + shellQuote(r.Saved)
	}
	return result
}
