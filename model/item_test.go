package model

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// itemChanges returns how the edges of the model change what callers see of a
// layer, as "live to staged".
func itemChanges(t *testing.T, name string) map[string]bool {
	found := Find(name)
	g, err := found.Graph(t.Context(), Options{})
	require.NoError(t, err)
	m, changes := found.system().(*LayerStore), map[string]bool{}
	for at := range g.States() {
		var s, n storeState
		unpackStore(g.keys[at], &s)
		for _, edge := range g.Out(at) {
			unpackStore(g.keys[edge.To], &n)
			for x := uint8(1); x <= m.layers; x++ {
				if from, to := m.seen(&s, x), m.seen(&n, x); from != to {
					changes[fmt.Sprintf("%v to %v", from, to)] = true
				}
			}
		}
	}
	return changes
}

// A layer store does to a layer all that TempDir.tla allows with a tree, and
// nothing else: so that histories of a store can be judged by TempDir.tla. That
// it does nothing else is LayersAreTrees, too.
func TestALayerStoreTreatsLayersAsTrees(t *testing.T) {
	var want []string
	for _, step := range itemSteps {
		want = append(want, fmt.Sprintf("%v to %v", step[0], step[1]))
	}
	for _, name := range []string{"LayerStore", "LayerStoreOneId"} {
		assert.ElementsMatch(t, want, slices.Collect(maps.Keys(itemChanges(t, name))), name)
	}
	// Some mutants of the specification do not: a layer is listed, and its files
	// are elsewhere; or it is seen again after its deletion was seen.
	for name, property := range map[string]string{
		"StoreNoFlag": "WholeOrFlagged", "StoreCompletesFirst": "WholeOrFlagged", "StoreSeenPutsBack": "LayersAreTrees",
	} {
		r, err := Find(name).Refute(t.Context(), Options{})
		require.NoError(t, err)
		assert.Equal(t, property, r.Property, name)
	}
}

func TestItemStepsAreOfOneState(t *testing.T) {
	for action, step := range itemSteps {
		for from := ItemAbsent; from <= ItemGone; from++ {
			to, enabled := ItemStep(ItemAction(action), from)
			assert.Equal(t, from == step[0], enabled)
			assert.Equal(t, step[1], to)
		}
	}
	assert.Equal(t, "staged", ItemStaged.String())
}

func TestPackKeepsEveryFieldOfAStore(t *testing.T) {
	s := storeState{
		record: [4]uint8{0, 2, 1, 2}, place: [4]uint8{0, 3, 1, 2}, owner: [4]uint8{0, 4, 1, 3}, claim: [4]uint8{0, 2, 4, 1},
		whole: 10, deleted: 14, storeLock: 4, crashes: 3, failures: 3,
		pc: [5]uint8{0, storeForgetHere, storeLoading, 9, 14}, op: [5]uint8{0, askedRecover, 4, 1, 3},
		arg: [5]uint8{0, 3, 2, 1, 3}, at: [5]uint8{0, 1, 3, 2, 3}, tried: [5]uint8{0, 14, 6, 10, 2},
	}
	var back storeState
	unpackStore(packStore(&s), &back)
	assert.Equal(t, s, back)
}
