package gate

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/afterlock/afterlock/crashsim/blackbox"
)

func TestBlackBoxCountsAreJudged(t *testing.T) {
	enough := blackbox.Report{
		Calls: 1400, CrashPoints: 400, NestedPoints: 8000, States: 700, Kills: 400, NestedKills: 500, Faults: 2400, Refused: 2000,
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
