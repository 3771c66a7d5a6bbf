package stress

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/linearizability/trace"
)

func TestTracesAreBehaviours(t *testing.T) {
	c := Config{Dir: t.TempDir(), Seed: uint64(time.Now().UnixNano()), Events: 100_000}
	if testing.Short() {
		c.Events /= 5
	}
	report, err := Traces(t.Context(), c)
	require.NoError(t, err)
	t.Logf("%+v", report)
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
