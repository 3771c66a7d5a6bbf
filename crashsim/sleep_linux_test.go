package crashsim

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// searched runs one scenario with and without the choices that are left out.
func searched(t *testing.T, s Scenario, model disk.Durability, awake bool) (counts Counts, trees map[uint64]uint8) {
	e, err := newExplorer(&s, model)
	require.NoError(t, err)
	c, err := newCrasher(&s, model, 1, Shard{})
	require.NoError(t, err)
	e.awake = awake
	e.found = func(f world.Finding) { t.Errorf("%v", f) }
	c.found = func(f world.Finding, _ []crash, _ uint64) { t.Errorf("%v", f) }
	e.changed = func(journal uint64) error { return c.crash(e, journal) }
	require.NoError(t, e.explore(t.Context()))
	for _, a := range e.actors {
		a.end()
	}
	c.counts.Interleavings, c.counts.Steps = e.states, e.steps
	return c.counts, c.seen
}

func TestLeavingOutOrdersThatDoNotMatterLosesNoState(t *testing.T) {
	scenarios := []Scenario{
		{Deleters: 1, Victims: 1, Files: 1, Recoverers: 1, Kills: 1},
		{Adders: 1, Files: 1, Recoverers: 1, Kills: 1},
		{Deleters: 1, Adders: 1, Victims: 1, Files: 1},
	}
	if testing.Short() {
		scenarios = scenarios[:1]
	}
	for _, s := range scenarios {
		for m := range disk.Durabilities {
			model := disk.Durability(m)
			if model != disk.Ordered {
				s.Syncs = AllSyncs
			}
			all, allTrees := searched(t, s, model, true)
			some, someTrees := searched(t, s, model, false)
			assert.Equal(t, allTrees, someTrees, "%v %v", s, model)
			assert.Equal(t, all.Interleavings, some.Interleavings, "%v %v", s, model)
			assert.Less(t, some.Steps, all.Steps)
			t.Logf("%v %v\n%+v\n%+v", s, model, all, some)
		}
	}
}
