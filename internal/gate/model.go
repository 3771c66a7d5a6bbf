package gate

import (
	"context"
	"fmt"

	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/spec"
)

// What the manifest has at least; the stage is undecided with less.
const (
	minModels  = 100
	minStates  = 5_000_000
	minSteps   = 20_000_000
	minDigests = 90
	minRefuted = 60
)

var modelStage = Stage{"model", "every model of the specification, explored and compared with TLC's record",
	func(ctx context.Context, env Env) (Result, error) { return runModels(ctx, env, spec.Manifest) }}

// runModels explores every model of the specification and compares it with what TLC
// recorded in the manifest. It needs no Java and no files.
func runModels(ctx context.Context, env Env, manifest []byte) (Result, error) {
	rows, err := model.ParseManifest(manifest)
	if err != nil {
		return Result{}, err
	}
	var (
		result                          Result
		reports                         []*model.Report
		states, steps, digests, refuted int64
		differences                     int64
	)
	complain := func(format string, arguments ...any) {
		differences++
		result.Problems = append(result.Problems, fmt.Sprintf(format, arguments...))
	}
	for i, row := range rows {
		env.Progress(fmt.Sprintf("%s (%d of %d)", row.Model, i+1, len(rows)))
		m := model.Find(row.Model)
		if m == nil {
			complain("%s: package model does not have it", row.Model)
			continue
		}
		report, err := m.Check(ctx, model.Options{}, row.Digest != nil)
		if err != nil {
			return result, err
		}
		for _, line := range row.Differences(report) {
			complain("%s: %s; afterlock model %s shows it", row.Model, line, row.Model)
		}
		reports = append(reports, report)
		states += report.Distinct
		steps += report.Generated
		if report.Digest != nil {
			digests++
		}
		if report.Verdict == model.Refuted {
			refuted++
		}
		env.Log.Debug("explored", "model", row.Model, "states", report.Distinct)
	}
	silent := model.NeverFire(reports)
	for _, name := range silent {
		result.Problems = append(result.Problems, fmt.Sprintf("action %s fires in no model", name))
	}
	result.Ran = fmt.Sprintf("%d models of the specification", len(reports))
	result.Counts = []Count{
		AtLeast("models", int64(len(reports)), minModels),
		AtLeast("states", states, minStates),
		AtLeast("steps", steps, minSteps),
		AtLeast("digests equal to TLC's", digests, minDigests),
		AtLeast("refuted as they must be", refuted, minRefuted),
		Never("differences from TLC", differences),
		Never("actions that never fire", int64(len(silent))),
	}
	return result, nil
}
