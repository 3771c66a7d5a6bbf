package model_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// One guard of one action, stricter in Go than in the specification, and the
// digest tells, without Java. The last one keeps every state: only the digest
// of the edges can tell.
func TestAPlantedDifferenceIsCaught(t *testing.T) {
	rows := manifest(t)
	want := rows[slices.IndexFunc(rows, func(r model.Recorded) bool { return r.Model == "Gate" })]
	for _, c := range []struct {
		name, action string
		spares       func(s *model.State, p uint8) bool
	}{
		{"OpenLock wants a lock that is free", "OpenLock", func(s *model.State, p uint8) bool {
			lock := s.Lock[s.ID[p]]
			return lock != model.None && s.Holder[lock] != model.None
		}},
		{"TakeLock does not try a busy lock", "TakeLock", func(s *model.State, p uint8) bool {
			return s.Holder[s.Fd[p]] != model.None
		}},
		{"StatName is not tried before the unlink", "StatName", func(s *model.State, p uint8) bool {
			return s.PC[p] == model.Emptied
		}},
		{"OpenDirectory is not tried by a live owner without entries", "OpenDirectory", func(s *model.State, p uint8) bool {
			return s.PC[p] == model.Live && s.Place[1] == model.Home
		}},
		{"CallFails not in the last place", "CallFails", func(s *model.State, p uint8) bool {
			return s.PC[p] == model.Verified
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := model.PlantDifference(t.Context(), model.Find("Gate"), c.action, c.spares)
			require.NoError(t, err)
			assert.NotEqual(t, want.Digest.Edges, got.Digest.Edges)
			t.Logf("%d states of %d, %d edges of %d", got.Distinct, want.Distinct, got.Digest.Count, want.Digest.Count)
		})
	}
	same, err := model.PlantDifference(t.Context(), model.Find("Gate"), "OpenLock", func(*model.State, uint8) bool { return false })
	require.NoError(t, err)
	assert.Equal(t, want.Digest, same.Digest, "no difference")
}
