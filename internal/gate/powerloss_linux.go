package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/afterlock/afterlock/crashsim/powerloss"
)

// States of each file system; a shard does its part.
const (
	powerLossStates     = 200
	deepPowerLossStates = 2000
	// Some programs write less than their part of them, and that depends on the kernel.
	minPowerLossPercent    = 50
	minAcknowledgedPercent = 10
	minTreesPercent        = 10
	minLeaksPercent        = 5
)

// powerLossSystems are the file systems whose journals are tried.
var (
	powerLossSystems     = []string{"xfs", "btrfs", "ext4"} // the slowest first
	deepPowerLossSystems = append(powerLossSystems, "ext4-journal", "ext4-writeback")
)

// runPowerLoss takes the power away under real file systems.
func runPowerLoss(ctx context.Context, env Env) (Result, error) {
	states, names := powerLossStates, powerLossSystems
	if env.Deep {
		states, names = deepPowerLossStates, deepPowerLossSystems
	}
	var result Result
	var jobs []powerloss.Job
	first, parts := max(env.Shard.I, 1)-1, max(env.Shard.N, 1)
	var systems []string
	for _, name := range names {
		f, err := powerloss.FileSystemOf(name)
		if err != nil {
			return result, err
		}
		if err := f.Available(); errors.Is(err, errors.ErrUnsupported) {
			result.Skips = append(result.Skips, Skip{"power loss on " + name, err.Error()})
			continue
		} else if err != nil {
			return result, err
		}
		systems = append(systems, name)
		for i, j := range powerloss.Jobs(name, states) {
			j.Part, j.Parts = (first+i)%parts, parts // of each job, so that what is expected of a shard is so of all
			jobs = append(jobs, j)
		}
		jobs = append(jobs, part(env.Shard, append(powerloss.Shutdowns(name, env.Deep), powerloss.Controls(name, env.Deep)...))...)
	}
	if len(systems) == 0 {
		result.Skipped, result.Because = true, result.Skips[0].Why
		return result, nil
	}
	begin, done := time.Now(), 0
	results, err := powerloss.Run(ctx, powerloss.Options{Dir: env.Memory, Seed: env.Seed, Jobs: jobs, Progress: func(r powerloss.Result) {
		done++
		env.Progress(fmt.Sprintf("%v (%d of %d)", r.Job, done, len(jobs)))
	}})
	if err != nil {
		return skipIfUnsupported(result, err)
	}
	for _, r := range results {
		env.Log.Debug("power loss", "job", r.Job.String(), "counts", fmt.Sprintf("%+v", r.Counts), "fsyncs", r.Fsyncs)
	}
	judged, err := powerLossResult(results, systems, states/parts)
	judged.Skips = result.Skips
	judged.Ran += fmt.Sprintf(" (%.1f s)", time.Since(begin).Seconds())
	return judged, err
}

// powerLossResult judges the results of jobs for so many states of each system.
func powerLossResult(results []powerloss.Result, systems []string, states int) (result Result, err error) {
	counts := make(map[string]*powerloss.Counts)
	for _, name := range systems {
		counts[name] = &powerloss.Counts{}
	}
	controls, caught, shutdowns, findings := 0, 0, 0, 0
	for _, r := range results {
		if r.Err != "" {
			return result, errors.New(r.Err)
		}
		if claim := r.Job.Until; claim != "" {
			controls++
			if slices.ContainsFunc(r.Findings, func(f powerloss.Found) bool { return f.Claim == claim }) {
				caught++
			} else {
				result.Problems = append(result.Problems, fmt.Sprintf("%v is wrong, and %s was not found to be false in %d states", r.Job, claim, r.Counts.States+r.Counts.Shutdowns))
			}
			continue
		}
		if r.Job.Shutdown != "" {
			shutdowns++
		}
		counts[r.Job.FileSystem].Add(r.Counts)
		findings += len(r.Findings)
		for _, f := range r.Findings {
			result.Problems = append(result.Problems, f.String())
		}
	}
	all := powerloss.Counts{}
	for _, name := range systems {
		c := counts[name]
		result.Counts = append(result.Counts,
			AtLeast("states of "+name, int64(c.States), int64(states*minPowerLossPercent/100)),
			AtLeast("of them with an acknowledged deletion", int64(c.Acknowledged), int64(states*minAcknowledgedPercent/100)))
		all.Add(*c)
	}
	result.Counts = append(result.Counts,
		AtLeast("trees recovered", int64(all.Trees), int64(states*len(systems)*minTreesPercent/100)),
		AtLeast("of them with leaks, all reclaimed", int64(all.Leaks), int64(states*len(systems)*minLeaksPercent/100)),
		AtLeast("shutdowns by the kernel, which leave what replay does", int64(all.Shutdowns), int64(shutdowns)),
		AtLeast("wrong programs found wrong", int64(caught), int64(controls)),
		Never("findings", int64(findings)))
	var rates []string
	for _, name := range systems {
		c := counts[name]
		rates = append(rates, fmt.Sprintf("%s %.0f and %.1f", name, c.PerSecond(), c.Processor.Seconds()*1e3/float64(max(c.States, 1))))
	}
	result.Ran = fmt.Sprintf("%d power losses; states a second and processor, and ms of it for each: %s", all.States, strings.Join(rates, ", "))
	return result, nil
}
