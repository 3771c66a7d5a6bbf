//go:build amd64 || arm64

package blackbox

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNoCrashNoErrnoAndNoScheduleLosesAnything(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes ten seconds")
	}
	newCampaign(t) // builds, or skips
	c := &campaign{Options: Options{Dir: memory(), Seed: 1, Command: built.command}}
	r, err := c.run(t.Context())
	require.NoError(t, err)
	t.Logf("%+v", r)
	assert.Empty(t, r.Problems)
	assert.Equal(t, len(programs()), r.Programs)
	assert.Greater(t, r.CrashPoints, 300)
	assert.Greater(t, r.NestedPoints, 10000)
	assert.Greater(t, r.States, 800)
	assert.Greater(t, r.Kills, r.CrashPoints, "every mutating call is the last one before a kill, and others")
	assert.Greater(t, r.NestedKills, 700)
	assert.Greater(t, r.Faults, 2000)
	assert.Greater(t, r.Refused, 500)
	assert.Equal(t, 2*randomSchedules, r.Schedules)
	assert.Greater(t, r.Exhaustive, 500)
	assert.Zero(t, r.Lost)
	assert.Equal(t, 4*storeSchedules, r.StoreSchedules)
	assert.Greater(t, r.StoreExhaustive, 300)
	assert.NotZero(t, r.FixtureRandom)
}
