package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/internal/scratch"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/model/conformance"
)

// Which models run by default. The first ones run on tmpfs, the others in the
// scratch directory; deep runs all of them, and the rest, on both.
var (
	gateModels  = []string{"Gate", "GateRefinement"}
	smallModels = []string{"GateOrphan", "GateOrphanFallback", "GateSwept", "GateRefinementFallback", "GateReleaseRefinement", "GateMount"}
	deepModels  = []string{"GateAddition", "GateFallback", "GateGoroutines", "GateInspect", "GateRelease", "GateRefinementTwo", "GateTwoCreators"}
)

// walksBesideUpstream says of how many walks one is taken: to start processes, and
// to talk with them, costs.
var walksBesideUpstream = map[conformance.Where]int{conformance.Together: 20, conformance.Apart: 100, conformance.Mounts: 200, conformance.PIDs: 200}

// A place is a model and where it is run. At is the directory that the user knows
// it by.
type place struct{ model, dir, at, fileSystem string }

// whereToRun says what to run where.
func whereToRun(env Env) ([]place, error) {
	fileSystem, err := scratch.FileSystem(env.Scratch)
	if err != nil {
		return nil, err
	}
	dirs := []place{{dir: env.Scratch, at: env.Dir, fileSystem: fileSystem}}
	if env.Memory != env.Scratch {
		dirs = append(dirs, place{dir: env.Memory, at: tmpfs, fileSystem: "tmpfs"})
	}
	var all []place
	add := func(at place, names ...string) {
		for _, name := range names {
			at.model = name
			all = append(all, at)
		}
	}
	if !env.Deep {
		add(dirs[len(dirs)-1], gateModels...)
		add(dirs[0], smallModels...)
	} else {
		for _, at := range dirs {
			add(at, gateModels...)
			add(at, smallModels...)
			add(at, deepModels...)
		}
	}
	return part(env.Shard, all), nil
}

// runConformance executes every edge of models of the specification on real file
// systems: that of the scratch directory, and tmpfs, where it is fast enough for the
// larger ones.
func runConformance(ctx context.Context, env Env) (Result, error) {
	var result Result
	todo, err := whereToRun(env)
	if err != nil {
		return skipIfUnsupported(result, err)
	}
	if len(todo) == 0 {
		result.Elsewhere, result.Because = true, "no model falls to this shard"
		return result, nil
	}
	var (
		sum     conformance.Report
		models  int64
		missing int64
	)
	systems := map[string]bool{}
	failing := int64(1) // pairs of a call and an errno that there are at least
	for _, p := range todo {
		r, err := conformance.Run(ctx, conformance.Options{Model: p.model, Dir: p.dir, Every: env.Deep,
			Progress: func(text string) { env.Progress(text + ", on " + p.fileSystem) }})
		if err != nil {
			return skipIfUnsupported(result, err)
		}
		if r.Skipped != "" {
			result.Skips = append(result.Skips, Skip{"model " + p.model, r.Skipped})
			continue
		}
		env.Log.Debug("executed", "model", p.model, "on", p.fileSystem, "edges", r.EdgesRun, "steps", r.Steps, "took", r.Elapsed)
		models++
		if m := model.Find(p.model); m.Protocol.MaxFailures > 0 {
			failing = 25
		}
		systems[p.fileSystem] = true
		missing += r.Edges - r.EdgesRun
		sum.Add(r)
		if d := r.Divergence; d != nil {
			result.Problems = append(result.Problems, fmt.Sprintf("on %s: %s", p.fileSystem, d))
			if result.Repeat == "" {
				result.Repeat = "afterlock replay " + d.Schedule + " --dir " + shellQuote(p.at)
			}
		}
	}
	if models == 0 {
		result.Skipped, result.Because = true, result.Skips[0].Why
		return result, nil
	}
	fleets := map[conformance.Where]int64{} // steps
	for _, where := range conformance.Wheres {
		n := walksBesideUpstream[where]
		if env.Deep {
			n = 1
		}
		for _, name := range conformance.Fleets() {
			env.Progress(fmt.Sprintf("%s, upstream %s", name, where.Words()))
			r, err := conformance.Fleet(ctx, conformance.Options{Model: name, Dir: env.Memory}, where, n)
			if err != nil {
				return skipIfUnsupported(result, err)
			}
			if r.Skipped != "" {
				result.Skips = append(result.Skips, Skip{"upstream " + where.Words(), r.Skipped})
				break
			}
			fleets[where] += r.Followed
			if r.Lost != "" {
				result.Problems = append(result.Problems, fmt.Sprintf("%s, upstream %s: lost: %s", name, where.Words(), r.Lost))
				if result.Repeat == "" {
					result.Repeat = "afterlock replay " + r.Schedule
				}
			}
		}
	}
	compared := sum.EdgesRun
	if env.Deep {
		compared = sum.Steps
	}
	result.Ran = fmt.Sprintf("%d models of the protocol, on %s", models, strings.Join(slices.Sorted(maps.Keys(systems)), " and "))
	result.Counts = []Count{
		AtLeast("edges", sum.EdgesRun, 1000),
		Never("edges not executed", missing),
		AtLeast("steps", sum.Steps, sum.EdgesRun),
		AtLeast("states compared", sum.Compared, compared),
		AtLeast("crashes", sum.Crashes, 100),
		AtLeast("pairs of call and errno", sum.Injected, failing),
		AtLeast("disabled actions refused by the kernel", sum.Refused, 100),
		AtLeast("by where the code stands", sum.Elsewhere, 1000),
	}
	for _, where := range conformance.Wheres {
		if steps, is := fleets[where]; is {
			result.Counts = append(result.Counts, AtLeast("calls beside upstream "+where.Words(), steps, 500))
		}
	}
	result.Line = fmt.Sprintf("conformance: %d edges in %d steps, %.0f steps/s", sum.EdgesRun, sum.Steps, float64(sum.Steps)/sum.Elapsed.Seconds())
	return result, nil
}
