package model

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// itemSeen is one layer of LayerStore.tla as its callers see it: a tree of
// TempDir.tla.
func itemSeen(s *storeState, x uint8) ItemState {
	switch {
	case s.record[x] == recordComplete && (s.place[x] != layerHome || !has(s.whole, x)):
		return itemTorn
	case s.record[x] == recordComplete:
		return ItemLive
	case s.place[x] == layerAbsent:
		return ItemAbsent
	case s.place[x] == layerGone:
		return ItemGone
	}
	return ItemStaged // flagged, or moved aside, or not committed
}

// itemChanges returns how the edges of the model change what callers see, as
// "Flag: live to staged", and how often.
func itemChanges(t *testing.T, name string) map[string]int {
	m := Find(name)
	g, err := m.Graph(t.Context(), Options{})
	require.NoError(t, err)
	layers := uint8(len(m.Store.Old) + len(m.Store.New))
	changes := map[string]int{}
	for at := range g.States() {
		var s, n storeState
		unpackStore(g.keys[at], &s)
		for _, edge := range g.Out(at) {
			unpackStore(g.keys[edge.To], &n)
			for x := uint8(1); x <= layers; x++ {
				if from, to := itemSeen(&s, x), itemSeen(&n, x); from != to {
					changes[fmt.Sprintf("%s: %v to %v", g.Actions[edge.Action].Name, from, to)]++
				}
			}
		}
	}
	return changes
}

// A layer store does to a layer what TempDir.tla allows with a tree, and each
// step has one action: so that histories of a store can be judged by TempDir.tla.
func TestALayerStoreTreatsLayersAsTrees(t *testing.T) {
	actions := map[string]ItemAction{"Create": ItemFill, "Complete": ItemCommit, "Flag": ItemDelete, "Remove": ItemReap}
	var want []string
	for name, action := range actions {
		from, to := itemSteps[action][0], itemSteps[action][1]
		want = append(want, fmt.Sprintf("%s: %v to %v", name, from, to))
	}
	for _, name := range []string{"LayerStore", "LayerStoreThree"} {
		assert.ElementsMatch(t, want, slices.Collect(maps.Keys(itemChanges(t, name))), name)
	}
	// And some mutants of the specification do not: a layer is listed, and its
	// files are elsewhere.
	for _, name := range []string{"StoreNoFlag", "StoreCompletesFirst"} {
		assert.NotEmpty(t, slices.DeleteFunc(slices.Collect(maps.Keys(itemChanges(t, name))), func(change string) bool {
			return slices.Contains(want, change)
		}), name)
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
	assert.Equal(t, "Commit", ItemCommit.String())
	assert.Equal(t, "staged", ItemStaged.String())
}
