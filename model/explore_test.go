package model_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

func TestNothingDependsOnTheNumberOfWorkers(t *testing.T) {
	names := []string{"GateSwept", "Rule1PublishLocked", "UpstreamCommit", "Rule12MissingDataFails", "PowerWeak"}
	if !testing.Short() {
		names = append(names, "GateRefinementTwo", "StoreNoFlag")
	}
	for _, name := range names {
		m := model.Find(name)
		var first []byte
		for _, workers := range []int{1, 2, 3, 8} {
			r, err := m.Check(t.Context(), model.Options{Workers: workers}, true)
			require.NoError(t, err)
			text, err := json.Marshal(r)
			require.NoError(t, err)
			if first == nil {
				first = text
			}
			assert.Equal(t, string(first), string(text), "%s, %d workers", name, workers)
		}
	}
}

// Symmetry leaves the verdict, the depth and the lengths as they are.
func TestSymmetryLeavesOneStateOfEachClass(t *testing.T) {
	with := *model.Find("Gate")
	with.Symmetry = "RecovererSymmetry"
	all, err := model.Find("Gate").Check(t.Context(), model.Options{}, false)
	require.NoError(t, err)
	few, err := with.Check(t.Context(), model.Options{}, false)
	require.NoError(t, err)
	assert.Equal(t, all.Depth, few.Depth)
	assert.Equal(t, all.Verdict, few.Verdict)
	assert.Less(t, few.Distinct, all.Distinct*6/10)
	assert.GreaterOrEqual(t, 2*few.Distinct, all.Distinct)
}

func BenchmarkExplore(b *testing.B) {
	for _, name := range []string{"Gate", "StoreNoFlag"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var states int64
			for b.Loop() {
				r, err := model.Find(name).Check(b.Context(), model.Options{}, false)
				if err != nil {
					b.Fatal(err)
				}
				states += r.Distinct
			}
			b.ReportMetric(float64(states)/b.Elapsed().Seconds(), "states/s")
		})
	}
}

func TestExplorationEndsWhenItsContextDoes(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := model.Find("Large").Check(ctx, model.Options{}, false)
	assert.ErrorIs(t, err, context.Canceled)
}

// The race that the project began with, as a person reads it.
func TestUpstreamAsShipped(t *testing.T) {
	m := model.Find("UpstreamAsShipped")
	r, err := m.Refute(t.Context(), model.Options{})
	require.NoError(t, err)
	assert.Equal(t, "LiveKept", r.Property)
	assert.Equal(t, 16, r.Length)
	var b strings.Builder
	_, err = r.Counterexample.WriteTo(&b)
	require.NoError(t, err)
	t.Log("\n" + b.String())
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	require.Len(t, lines, 17)
	assert.Regexp(t, `action +c1 +r1 +disk$`, lines[0])
	assert.Regexp(t, `^16 +RemoveData\(r1\)`, lines[16])
}

func TestALassoIsTold(t *testing.T) {
	for name, end := range map[string]string{
		"ListsLocksOnly":  "and then nothing, for ever",
		"PowerNoAdoption": ", and so on for ever, from state ",
		"Rule5KeepsLock":  ", and so on for ever, from state ",
	} {
		r, err := model.Find(name).Check(t.Context(), model.Options{}, false)
		require.NoError(t, err)
		var b strings.Builder
		_, err = r.Counterexample.WriteTo(&b)
		require.NoError(t, err)
		assert.Contains(t, b.String(), end, name)
	}
}

func TestPackKeepsEveryField(t *testing.T) {
	s := model.State{
		Lock: [3]uint8{0, 8, 7}, Data: 6, Place: [4]uint8{0, 4, 1, 2}, Tree: [4]uint8{0, 3, 2, 1},
		Holder: [9]uint8{0, 4, 3, 2, 1, 4, 3, 2, 1}, Fd: [5]uint8{0, 8, 7, 1, 5},
		Parked: [3]uint8{0, 63, 42},
		PC:     [5]uint8{0, model.Stuck, model.Closing, model.Idle, model.Taken}, ID: [5]uint8{0, 2, 1, 0, 2},
		Arg: [5]uint8{0, 11, 3, 0, 8}, Used: 6, Crashes: 3, Failures: 3,
	}
	assert.Equal(t, s, model.PackedAndBack(s))
}
