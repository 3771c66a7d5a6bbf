package gate

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/crashsim/powerloss"
	"github.com/afterlock/afterlock/internal/bench/world"
	"github.com/afterlock/afterlock/internal/bench/worlds"
	"github.com/afterlock/afterlock/linearizability"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/model/conformance/trace"
	"github.com/afterlock/afterlock/model/conformance/trace/fleet"
	"github.com/afterlock/afterlock/spec"
)

// judgedReports wants the report to pass, and not after each of the changes, of which
// the reason is the key.
func judgedReports[R any](t *testing.T, result func(change func(*R)) Result, changes map[string]func(*R)) {
	t.Helper()
	verdict, because, problems := judge(result(func(*R) {}), nil)
	assert.Equal(t, Pass, verdict, "%s %v", because, problems)
	for want, change := range changes {
		verdict, because, problems := judge(result(change), nil)
		if problems == nil {
			assert.Equal(t, Undecided, verdict)
			assert.Equal(t, want, because)
		} else {
			assert.Equal(t, Fail, verdict)
			assert.Contains(t, problems, want)
		}
	}
}

func TestLifecycleStageJudgesAReport(t *testing.T) {
	judgedReports(t, func(change func(*linearizability.Report)) Result {
		r := linearizability.Report{
			FileSystem: "ext4", Processes: 12, Kills: 60, Removing: 15, CleanedUp: 20, Held: 90,
			Answers: map[string]int64{"create ok": 60, "delete ok": 20, "read ok": 40},
		}
		change(&r)
		return lifecycleResult(r)
	}, map[string]func(r *linearizability.Report){
		"0 inside removals, at least 6 expected":         func(r *linearizability.Report) { r.Removing = 0 },
		"1 histories are undecided: layer a":             func(r *linearizability.Report) { r.Undecided, r.Because = 1, []string{"layer a"} },
		"removals under them: 1, and there must be none": func(r *linearizability.Report) { r.Under = 1 },
		"illegal: 2, and there must be none":             func(r *linearizability.Report) { r.Illegal = 2 },
		"history 3: process 2 leaked descriptor 9 of /store/lock": func(r *linearizability.Report) {
			r.Problems = []string{"history 3: process 2 leaked descriptor 9 of /store/lock"}
		},
	})
}

func TestLinearizabilityStageJudgesAReport(t *testing.T) {
	result := func(change func(*linearizability.Report)) Result {
		r := linearizability.Report{
			WithImages: 150, Full: 100, Answers: map[string]int64{},
			FileSystem: "tmpfs", Goroutines: 200, Processes: 100, Layouts: map[string]int64{"vfs": 150, "overlay": 150},
			Operations: 20_000, CutOff: 300, Refused: 5000, Kills: 300, AtCalls: 150, CleanedUp: 400,
		}
		for _, answer := range linearizability.Answers {
			r.Answers[answer] = 1
		}
		change(&r)
		return linearizabilityResult(r)
	}
	judgedReports(t, result, map[string]func(r *linearizability.Report){
		"illegal: 1, and there must be none": func(r *linearizability.Report) { r.Illegal = 1 },
		"illegal: …; judge it again: afterlock check /dir/h": func(r *linearizability.Report) {
			r.Problems = []string{"illegal: …; judge it again: afterlock check /dir/h"}
		},
		"1 histories are undecided: layer a (900 steps)":          func(r *linearizability.Report) { r.Undecided, r.Because = 1, []string{"layer a (900 steps)"} },
		"no operation answered: delete children":                  func(r *linearizability.Report) { delete(r.Answers, "delete children") },
		"299 recoveries that left nothing, at least 300 expected": func(r *linearizability.Report) { r.CleanedUp = 299 },
		"299 kills, at least 300 expected":                        func(r *linearizability.Report) { r.Kills = 299 },
	})
	assert.Equal(t, []Skip{{"image stores on another file system", "there is none that this user may write to"}},
		result(func(r *linearizability.Report) { r.SameSystem = true }).Skips)
}

func TestTracesStageJudgesAReport(t *testing.T) {
	judgedReports(t, func(change func(*fleet.Report)) Result {
		r := fleet.Report{
			Roots: 4, FileSystem: "tmpfs", GoroutineEvents: 5000, ProcessEvents: 5000, Kills: 30, Looks: 2000, Commits: 30, Saved: "/dir/a trace",
			Validation: trace.Report{Verdict: trace.Valid, Counts: trace.Counts{
				Events: 10_000, CutOff: 3, Instances: 200, Adoptions: 2, Ghosts: 1, Busy: 900, Operations: 3000, Configs: 4000,
			}},
		}
		change(&r)
		return tracesResult(r, fleet.Config{Dir: "/dir", Events: 10_000})
	}, map[string]func(r *fleet.Report){
		"instance a1: no behaviour": func(r *fleet.Report) {
			r.Validation.Problems = []string{"instance a1: no behaviour\n  many lines"}
		},
		"the trace is kept: afterlock check '/dir/a trace'": func(r *fleet.Report) { r.Validation.Verdict = trace.Invalid },
		"invalid: 1, and there must be none":                func(r *fleet.Report) { r.Validation.Counts.Invalid = 1 },
		"instance a1: 4 trees; the trace is kept: afterlock check '/dir/a trace'": func(r *fleet.Report) {
			r.Validation.Verdict, r.Validation.Because = trace.Undecided, []string{"instance a1: 4 trees"}
		},
		"0 calls cut off, at least 1 expected": func(r *fleet.Report) { r.Validation.CutOff = 0 },
	})
}

func TestBlackBoxCountsAreJudged(t *testing.T) {
	enough := blackbox.Report{
		CrashPoints: 400, NestedPoints: 8000, States: 700, Kills: 400, NestedKills: 500, Faults: 2400, Refused: 2000,
		Schedules: 600, Exhaustive: 600, StoreSchedules: 200, StoreExhaustive: 1000,
		FixtureRandom: 400,
	}
	for _, tt := range []struct {
		name    string
		change  func(*blackbox.Report)
		shard   bool
		verdict Verdict
	}{
		{"enough was done", func(*blackbox.Report) {}, false, Pass},
		{"a shard does less", func(r *blackbox.Report) { r.Kills, r.Faults, r.Refused, r.FixtureRandom = 100, 10, 5, 0 }, true, Pass},
		{"a shard does nothing", func(r *blackbox.Report) { r.Kills = 0 }, true, Undecided},
		{"not every crash point was a kill", func(r *blackbox.Report) { r.Kills-- }, false, Undecided},
		{"hardly an errno was reported", func(r *blackbox.Report) { r.Refused = 100 }, false, Undecided},
		{"the fixture survived all random schedules", func(r *blackbox.Report) { r.FixtureRandom = 0 }, false, Undecided},
		{"a schedule lost data", func(r *blackbox.Report) { r.Lost++ }, false, Fail},
	} {
		report := enough
		tt.change(&report)
		verdict, _, _ := judge(Result{Counts: blackBoxCounts(report, tt.shard)}, nil)
		assert.Equal(t, tt.verdict, verdict, tt.name)
	}
}

func TestWorldsStageJudgesAReport(t *testing.T) {
	for shard, changes := range map[bool]map[string]func(*worlds.Report){
		false: {
			"world:remove: gone": func(r *worlds.Report) { r.Findings = []string{"world:remove: gone"} },
			"0 worlds, at least 500 expected; 2700 combinations covered, at least 2800 expected": func(r *worlds.Report) { r.Worlds, r.Covered = 0, 2700 },
			"2799 combinations covered, at least 2800 expected":                                  func(r *worlds.Report) { r.Covered-- },
			"2600 combinations covered, at least 2700 expected":                                  func(r *worlds.Report) { r.Possible, r.Covered = 2600, 2600 },
			"119 worlds, at least 120 expected": func(r *worlds.Report) {
				r.Worlds, r.Possible, r.Covered, r.Values = 119, 1000, 1000, []string{"fs=xfs: no mkfs.xfs"}
			},
		},
		true: {"0 worlds, at least 1 expected": func(r *worlds.Report) { r.Worlds = 0 }},
	} {
		judgedReports(t, func(change func(*worlds.Report)) Result {
			r := worlds.Report{Worlds: 600, Combinations: 3000, Possible: 2800, Covered: 2800}
			change(&r)
			return worldsResult(r, shard)
		}, changes)
	}
}

func TestPowerLossStageJudgesResults(t *testing.T) {
	type results struct{ plain, shutdown, wrong powerloss.Result }
	wrong := powerloss.Job{Program: "in-place", FileSystem: "xfs", Until: world.ReachableWhole}
	found := func(claim world.Claim) []powerloss.Found {
		return []powerloss.Found{{Finding: world.Finding{Claim: claim, Path: "layers/v1", Detail: "is lost"}, Repeat: "powerloss:x@xfs/D1c", Trees: 2}}
	}
	judgedReports(t, func(change func(*results)) Result {
		r := results{
			powerloss.Result{Job: powerloss.Job{Program: "delete", FileSystem: "xfs"}, Counts: powerloss.Counts{States: 100, Trees: 40, Acknowledged: 30, Leaks: 20}},
			powerloss.Result{Job: powerloss.Job{Program: "delete", FileSystem: "xfs", Shutdown: "default"}, Counts: powerloss.Counts{Shutdowns: 1}},
			powerloss.Result{Job: wrong, Findings: found(world.ReachableWhole)},
		}
		change(&r)
		result, err := powerLossResult([]powerloss.Result{r.plain, r.shutdown, r.wrong}, []string{"xfs"}, 200)
		require.NoError(t, err)
		return result
	}, map[string]func(*results){
		"replies-true: layers/v1: is lost (2 trees)\n  afterlock replay powerloss:x@xfs/D1c":                  func(r *results) { r.plain.Findings = found(world.RepliesTrue) },
		"in-place on xfs is wrong, and reachable-whole was not found to be false in 0 states":                 func(r *results) { r.wrong.Findings = found(world.RepliesTrue) },
		"0 shutdowns by the kernel, which leave what replay does, at least 1 expected":                        func(r *results) { r.shutdown.Counts.Shutdowns = 0 },
		"99 states of xfs, at least 100 expected":                                                             func(r *results) { r.plain.Counts.States-- },
		"19 of them with an acknowledged deletion, at least 20 expected":                                      func(r *results) { r.plain.Counts.Acknowledged = 19 },
		"19 trees recovered, at least 20 expected; 9 of them with leaks, all reclaimed, at least 10 expected": func(r *results) { r.plain.Counts.Trees, r.plain.Counts.Leaks = 19, 9 },
	})
	_, err := powerLossResult([]powerloss.Result{{Err: "no loop device"}}, nil, 200)
	assert.EqualError(t, err, "no loop device")
}

// runModels runs the stage on a manifest of two small models, changed.
func modelsAre(t *testing.T, change func(rows []model.Recorded)) (Verdict, string, []string) {
	t.Helper()
	all, err := model.ParseManifest(spec.Manifest)
	require.NoError(t, err)
	var rows []model.Recorded
	for _, row := range all {
		if row.Model == "GateOrphan" || row.Model == "UpstreamAsShipped" {
			rows = append(rows, row)
		}
	}
	require.Len(t, rows, 2)
	change(rows)
	text, err := json.Marshal(rows)
	require.NoError(t, err)
	result, err := runModels(t.Context(), Env{Log: slog.New(slog.DiscardHandler), Progress: func(string) {}}, text)
	require.NoError(t, err)
	return judge(result, nil)
}

func TestModelStageTellsWhatDiffers(t *testing.T) {
	verdict, _, problems := modelsAre(t, func(rows []model.Recorded) {
		rows[0].Distinct++
		rows[1].Length--
	})
	assert.Equal(t, Fail, verdict)
	assert.Contains(t, problems, "GateOrphan: distinct states: TLC has 3168, Go has 3167; afterlock model GateOrphan shows it")
	assert.Contains(t, problems, "UpstreamAsShipped: states of the counterexample: TLC has 15, Go has 16; afterlock model UpstreamAsShipped shows it")
	assert.Contains(t, problems, "action SkipYoung fires in no model")

	verdict, _, problems = modelsAre(t, func(rows []model.Recorded) { rows[0].Model = "Gone" })
	assert.Equal(t, Fail, verdict)
	assert.Contains(t, problems, "Gone: package model does not have it")
}

func TestModelStageThatIsInterruptedSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := runModels(ctx, Env{Log: slog.New(slog.DiscardHandler), Progress: func(string) {}}, spec.Manifest)
	assert.ErrorIs(t, err, context.Canceled)
	_, err = runModels(t.Context(), Env{}, []byte("{"))
	assert.Error(t, err)
}
