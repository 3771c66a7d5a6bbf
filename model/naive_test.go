package model_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/afterlock/afterlock/model"
)

// explored is what a search finds that keeps whole states in a map: distinct states,
// steps, the states of the longest way, and states without a step.
func explored(m *model.Protocol) (distinct, generated, deadlocks int64, depth int) {
	x, seen := m.NewStepper(), map[model.State]bool{m.Init(): true}
	generated = 1
	for level := []model.State{m.Init()}; len(level) > 0; depth++ {
		var next []model.State
		for _, s := range level {
			before := generated
			for action := range m.Actions() {
				for _, to := range x.Take(&s, uint16(action)) {
					generated++
					if !seen[to] {
						seen[to] = true
						next = append(next, to)
					}
				}
			}
			if generated == before {
				deadlocks++
			}
		}
		level = next
	}
	return int64(len(seen)), generated, deadlocks, depth
}

// Whatever is in a model, the explorer, with packed states, several workers and
// levels of its own, finds what a simple search does.
func TestExplorerFindsWhatASimpleSearchDoes(t *testing.T) {
	some := func(t *rapid.T, name string, from, most int) (names []string) {
		return []string{name + "1", name + "2"}[:rapid.IntRange(from, most).Draw(t, name)]
	}
	states := int64(0)
	rapid.Check(t, func(t *rapid.T) {
		c := model.Config{
			Creator: some(t, "c", 1, 1), Recoverer: some(t, "r", 0, 1), ID: some(t, "i", 1, 2), Victim: some(t, "v", 0, 1), Addition: some(t, "a", 0, 1),
			Files: rapid.IntRange(0, 1).Draw(t, "files"), TmpFile: rapid.Bool().Draw(t, "unnamed"), MayRelease: rapid.Bool().Draw(t, "release"),
			LockKind: "ofd", Pid: "Apart", RootName: "OneName",
			MaxCrashes: rapid.IntRange(0, 1).Draw(t, "crashes"),
		}
		c.MaxFailures = 1 - c.MaxCrashes
		if rapid.Bool().Draw(t, "orphan") {
			c.Orphan = c.ID[:1]
		}
		with := *model.Find("Gate")
		with.Protocol = &c
		p, err := model.NewProtocol(c, model.Spec)
		require.NoError(t, err)
		distinct, generated, deadlocks, depth := explored(p)
		r, err := with.Check(t.Context(), model.Options{Workers: 3}, false)
		require.NoError(t, err)
		assert.Equal(t, []int64{distinct, generated, deadlocks, int64(depth)}, []int64{r.Distinct, r.Generated, r.Deadlocks, int64(r.Depth)}, "%+v", c)
		states += distinct
	})
	t.Logf("%d states", states)
}
