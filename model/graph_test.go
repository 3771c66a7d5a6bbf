package model_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// Every edge of the gate model has a shortest path to its start, and every
// disabled action a guard that is false.
func TestQueriesOfAGraph(t *testing.T) {
	g, err := model.Find("Gate").Graph(t.Context(), model.Options{})
	require.NoError(t, err)
	assert.Equal(t, 22_401, g.States())
	assert.Equal(t, 94_138, g.Edges())
	longest := 0
	for state := range g.States() {
		path := g.Path(state)
		longest = max(longest, len(path))
		if state%97 == 0 {
			at := 0
			for _, edge := range path {
				require.Contains(t, g.Out(at), edge)
				at = int(edge.To)
			}
			require.Equal(t, state, at)
		}
	}
	assert.Equal(t, 35, longest, "depth in steps")

	disabled, guards := 0, map[string]bool{}
	g.Disabled(func(_ int, action uint16, guard string) {
		disabled++
		guards[g.Actions[action].Name+": "+guard] = true
	})
	enabled := 0
	for state := range g.States() {
		last := -1
		for _, edge := range g.Out(state) {
			if int(edge.Action) != last {
				enabled++
			}
			last = int(edge.Action)
		}
	}
	assert.Equal(t, g.States()*len(g.Actions), enabled+disabled)
	assert.True(t, guards[`RemoveLock: pc[p] = "verified"`])
	assert.True(t, guards[`RemoveData: Entries(id[p]) = {}`])
}

func TestDOT(t *testing.T) {
	g, err := model.Find("GateOrphan").Graph(t.Context(), model.Options{})
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, g.WriteDOT(&b))
	assert.Equal(t, g.Edges(), strings.Count(b.String(), " -> "))
	assert.Equal(t, g.States(), strings.Count(b.String(), `crashes=`))
	assert.True(t, strings.HasSuffix(b.String(), "}\n"))
	_, ok := g.State(0)
	assert.True(t, ok)
}

func TestDeadlocksAreStatesWithoutASuccessor(t *testing.T) {
	m := model.Find("GateOrphan")
	g, err := m.Graph(t.Context(), model.Options{})
	require.NoError(t, err)
	ends := int64(0)
	for state := range g.States() {
		if len(g.Out(state)) == 0 {
			ends++
		}
	}
	r, err := m.Check(t.Context(), model.Options{}, false)
	require.NoError(t, err)
	require.Positive(t, ends)
	assert.Equal(t, ends, r.Deadlocks)
}
