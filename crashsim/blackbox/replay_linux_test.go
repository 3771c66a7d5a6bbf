//go:build amd64 || arm64

package blackbox

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/schedule"
)

// A state that a crash of a recovery leaves is the one that its path leads to.
func TestThePathOfAStateLeadsThere(t *testing.T) {
	c, w := newCampaign(t)
	for _, name := range []string{"delete", "deletechain-overlay"} {
		p := findProgram(name)
		traced, err := c.traceProgram(w, p)
		require.NoError(t, err)
		from := traced.states[len(traced.states)-2]
		found, err := c.recoverWatched(w, p, from)
		require.NoError(t, err)
		require.NotEmpty(t, found)
		for _, state := range found {
			var out bytes.Buffer
			require.NoError(t, c.replayKill(w, p, killed(p, state.path...), &out))
			assert.Contains(t, out.String(), "on disk:\n"+indent(state.tree.text()), killed(p, state.path...))
		}
	}
	assert.Empty(t, c.report.Problems)
}

// Behind two instances that are alike there are states that one does not lead to.
func TestStatesWithOneAndWithTwoInstancesAreTwo(t *testing.T) {
	c, p := &campaign{}, &programs()[0]
	one := join(directory("root"), tree{{Path: "root/lock-" + staleID, Kind: 'f'}})
	two := join(one, tree{{Path: "root/lock-" + orphanID, Kind: 'f', Content: "of another"}})
	other := join(directory("root"), tree{{Path: "root/lock-" + orphanID, Kind: 'f', Content: "of another"}})
	assert.Len(t, c.claim(p, []state{{one, []int{1}}, {two, []int{2}}, {other, []int{3}}}), 2)
}

// Deep, a recovery is also killed between two changes.
func TestARecoveryIsKilledAtEveryChangeAndDeepAtEveryCall(t *testing.T) {
	c, w := newCampaign(t)
	p := findProgram("recover")
	from := state{p.scene, []int{1}}
	found, err := c.recoverWatched(w, p, from)
	require.NoError(t, err)
	require.NoError(t, c.killRecovery(w, p, from))
	assert.Equal(t, len(found), c.report.NestedKills)
	c.Deep = true
	require.NoError(t, c.killRecovery(w, p, from))
	assert.Greater(t, c.report.NestedKills, 4*len(found))
	assert.Empty(t, c.report.Problems)
	var out bytes.Buffer
	how, err := schedule.Parse("box:recover/A!.B2!")
	require.NoError(t, err)
	require.NoError(t, c.replayKill(w, p, how, &out))
	assert.Contains(t, out.String(), "recovery 1: killed before call 3")
}
