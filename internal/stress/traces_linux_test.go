package stress

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model/conformance/trace"
)

func TestTracesAreBehaviours(t *testing.T) {
	c := Config{Dir: t.TempDir(), Seed: rand.Uint64(), Events: 100_000}
	if testing.Short() {
		c.Events /= 5
	}
	report, err := Traces(t.Context(), c)
	require.NoError(t, err)
	t.Logf("seed %d: %+v", c.Seed, report)
	for _, problem := range report.Validation.Problems {
		t.Log(problem)
	}
	assert.Empty(t, report.Problems)
	assert.Equal(t, trace.Valid, report.Validation.Verdict, report.Validation.Because)
	assert.Positive(t, report.GoroutineEvents)
	assert.Positive(t, report.ProcessEvents)
	assert.Positive(t, report.Kills)
	assert.Positive(t, report.Validation.Instances)
	assert.Positive(t, report.Validation.Adoptions)
	assertEmpty(t, c.Dir)
}

// Each case plants one fault in every worker. The trace is kept, and says the
// same when it is read again.
func TestTracesFindFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it records once for each fault")
	}
	for _, tt := range []struct{ name, kernel, wants string }{
		{"locks that are held are taken", "thief", "TakeLock took the lock"},
		{"rules 1 and 2 are left out", "blind", "no behaviour of the model"},
		// The removal finds nothing where the model has a tree.
		{"victims are not staged", "liar", "RemoveData removed the data directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{Dir: t.TempDir(), Seed: 1, Events: 20_000}
			c.creatorKernel = tt.kernel
			report, err := Traces(t.Context(), c)
			require.NoError(t, err)
			require.Equal(t, trace.Invalid, report.Validation.Verdict, "%+v", report)
			assertProblem(t, report.Validation.Problems, tt.wants)
			saved, err := trace.Open(report.Saved)
			require.NoError(t, err)
			again, err := trace.Validate(t.Context(), saved)
			require.NoError(t, err)
			assert.Equal(t, report.Validation.Problems, again.Problems)
		})
	}
}

func TestTracesEndsWhenTheContextIsDone(t *testing.T) {
	c := Config{Dir: t.TempDir(), Seed: 1, Events: 2_000_000}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Progress = func(string) { cancel() }
	_, err := Traces(ctx, c)
	assert.ErrorIs(t, err, context.Canceled)
	assertEmpty(t, c.Dir)
}
