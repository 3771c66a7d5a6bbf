package crashsim_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim"
	"github.com/afterlock/afterlock/internal/bench/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

func TestEveryCrashIsRecoveredFrom(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because TestThreeVictimsAndTwoProcesses does a part of it")
	}
	// A third of the states of each; the gate's stage looks at all.
	for _, s := range crashsim.Scenarios(false) {
		report, err := crashsim.Run(t.Context(), crashsim.Options{Scenarios: []crashsim.Scenario{s}, Shard: crashsim.Shard{I: 3, N: 3}})
		require.NoError(t, err)
		assert.Empty(t, report.Problems())
		assert.Len(t, report.PerModel, 3)
		for model, c := range report.PerModel {
			assert.Positive(t, c.Nested)
			t.Logf("%v %s: %+v", s, model, c)
		}
		t.Logf("%v: %v, %.0f states a second and core", s, report.Elapsed, report.StatesPerSecond())
	}
}

// The counts are pinned: a change of the library, of the durability models or of the
// search shows.
func TestThreeVictimsAndTwoProcesses(t *testing.T) {
	s := crashsim.Scenario{Deleters: 1, Victims: 3, Files: 3, Recoverers: 1, Kills: 1}
	report, err := crashsim.Run(t.Context(), crashsim.Options{Scenarios: []crashsim.Scenario{s}})
	require.NoError(t, err)
	assert.Empty(t, report.Problems())
	for model, want := range map[string][4]int64{ // interleavings, crash points, states, trees
		"ordered":      {4038, 634, 634, 78},
		"perDirectory": {4608, 1124, 3999, 183},
		"weak":         {4608, 8477, 608589, 9481},
	} {
		c := report.PerModel[model]
		assert.Equal(t, want, [4]int64{c.Interleavings, c.CrashPoints, c.States, c.Trees}, model)
	}
}

func TestShardsTogetherFindEveryTreeOnce(t *testing.T) {
	s := []crashsim.Scenario{{Deleters: 1, Victims: 1, Files: 2, Recoverers: 1, Kills: 1}}
	whole, err := crashsim.Run(t.Context(), crashsim.Options{Scenarios: s, Nested: -1})
	require.NoError(t, err)
	var parts int64
	for i := range 3 {
		part, err := crashsim.Run(t.Context(), crashsim.Options{Scenarios: s, Nested: -1, Shard: crashsim.Shard{I: i + 1, N: 3}})
		require.NoError(t, err)
		assert.Positive(t, part.Counts.States)
		parts += part.Counts.States
	}
	assert.Equal(t, whole.Counts.States, parts)
}

func TestRunStopsWhenItIsToldTo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := crashsim.Run(ctx, crashsim.Options{})
	assert.True(t, errors.Is(err, context.Canceled))
}
