package stress

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func raceConfig(t *testing.T, duration time.Duration) Config {
	return Config{Dir: t.TempDir(), Seed: 1, Duration: duration}
}

func TestRaceLosesNothing(t *testing.T) {
	duration := time.Second
	if testing.Short() {
		duration /= 4
	}
	report, err := Race(t.Context(), raceConfig(t, duration))
	require.NoError(t, err)
	t.Log(report, report.Problems)
	assert.Empty(t, report.Problems)
	assert.Zero(t, report.Lost)
	assert.Zero(t, report.Partial)
	assert.Positive(t, report.Instances)
	assert.Positive(t, report.Commits)
	assert.Positive(t, report.Recoveries)
	assert.Positive(t, report.Met, "recoverers that meet no live instance show nothing")
}

// The twin of TestRaceLosesNothing: the same harness on the protocol without
// rules 1 and 2.
func TestRaceFixtureLosesData(t *testing.T) {
	c := raceConfig(t, time.Minute) // it ends with the first loss
	c.creatorKernel, c.recovererKernel = "blind", "blind"
	report, err := Race(t.Context(), c)
	require.NoError(t, err)
	t.Log(report, report.Problems)
	assert.Positive(t, report.Lost+report.Partial)
	assert.NotEmpty(t, report.Problems)
}
