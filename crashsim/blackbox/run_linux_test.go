//go:build amd64 || arm64

package blackbox

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/testfs"
)

func TestNoCrashNoErrnoAndNoScheduleLosesAnything(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes ten seconds")
	}
	newCampaign(t) // builds, or skips
	// A sixth of every enumeration. The gate's stage does all of it.
	c := &campaign{Options: Options{Dir: testfs.InMemory(t), Seed: 1, Command: built.command, ShardI: 6, ShardN: 6}}
	r, err := c.run(t.Context())
	require.NoError(t, err)
	t.Logf("%+v", r)
	assert.Empty(t, r.Problems)
	assert.Equal(t, len(programs()), r.Programs)
	assert.Greater(t, r.CrashPoints, 150)
	assert.Greater(t, r.NestedPoints, 1000)
	assert.Greater(t, r.States, 75)
	assert.Greater(t, r.Kills, 100)
	assert.Greater(t, r.NestedKills, 150)
	assert.Greater(t, r.Faults, 300)
	assert.Greater(t, r.Refused, 150)
	assert.Equal(t, 2*(randomSchedules/6), r.Schedules)
	assert.Greater(t, r.Exhaustive, 100)
	assert.Zero(t, r.Lost)
	assert.Equal(t, 4*(storeSchedules/6), r.StoreSchedules)
	assert.Greater(t, r.StoreExhaustive, 75)
	assert.NotZero(t, r.FixtureRandom)
}
