package gate

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/afterlock/afterlock/model/conformance/trace"
	"github.com/afterlock/afterlock/model/conformance/trace/fleet"
)

// A run that did enough.
func goodTraces() (fleet.Report, fleet.Config) {
	return fleet.Report{
		Roots: 4, FileSystem: "tmpfs", GoroutineEvents: 5000, ProcessEvents: 5000, Kills: 30, Looks: 2000, Commits: 30,
		Validation: trace.Report{Verdict: trace.Valid, Counts: trace.Counts{
			Events: 10_000, CutOff: 3, Instances: 200, Adoptions: 2, Ghosts: 1, Busy: 900, Operations: 3000, Configs: 4000,
		}},
	}, fleet.Config{Dir: "/dir", Events: 10_000}
}

func TestTracesStageJudgesAReport(t *testing.T) {
	verdict, _, _ := judge(tracesResult(goodTraces()), nil)
	assert.Equal(t, Pass, verdict)

	r, c := goodTraces()
	r.Validation.Verdict, r.Validation.Counts.Invalid, r.Saved = trace.Invalid, 1, "/dir/a trace"
	r.Validation.Problems = []string{"instance a1: no behaviour\n  many lines"}
	verdict, _, problems := judge(tracesResult(r, c), nil)
	assert.Equal(t, Fail, verdict)
	assert.Equal(t, []string{
		"instance a1: no behaviour", "the trace is kept: afterlock check '/dir/a trace'", "invalid: 1, and there must be none",
	}, problems)

	r, c = goodTraces()
	r.Validation.Verdict, r.Validation.Because, r.Saved = trace.Undecided, []string{"instance a1: 4 trees"}, "/dir/t"
	verdict, because, _ := judge(tracesResult(r, c), nil)
	assert.Equal(t, Undecided, verdict)
	assert.Equal(t, "instance a1: 4 trees; the trace is kept: afterlock check /dir/t", because)

	r, c = goodTraces()
	r.Validation.CutOff = 0
	verdict, because, _ = judge(tracesResult(r, c), nil)
	assert.Equal(t, Undecided, verdict)
	assert.Equal(t, "0 calls cut off, at least 1 expected", because)
}
