package linearizability

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Regressions: crash points by name, of an operation and of what finishes it. Process
// 1 makes a, process 2 and 3 are killed before the call, and whoever comes then sees
// no layer. One that is killed alone is below.
func TestRegressions(t *testing.T) {
	type death struct {
		action, call string
		n            int64
	}
	for _, tt := range []struct {
		name   string
		layout string
		deaths []death
	}{
		{"recovery killed while it removes", "vfs", []death{{"delete a", "StageDeletion", 1}, {"recover", "RemoveEntry", 1}}},
		{"finisher killed before the record goes", "overlay", []death{{"delete a", "StageDeletion", 1}, {"create b", "Replace", 1}}},
		{"finisher killed after the record went", "overlay", []death{{"delete a", "Replace", 2}, {"create b", "Replace", 2}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := newPlayer(t, tt.layout, tt.name)
			p.do("1.1", "create a", Done)
			for i, d := range tt.deaths {
				p.die(2+i, d.action, d.call, d.n)
			}
			assert.Empty(t, p.do("4.1", "list", Done).Result.Layers)
			p.do("4.1", "look a", Done)
			p.do("4.1", "create a", Done) // the id is free, whatever is left
			j := p.judge()
			require.Equal(t, OK, j.Verdict, "%s", j)
		})
	}
}

// Histories that once were too much for the checker, or for the store.
func TestRecordedRegressions(t *testing.T) {
	paths, err := filepath.Glob("testdata/regressions/*")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		verdict, err := Check(t.Context(), path, t.Output(), "", 0)
		require.NoError(t, err)
		assert.Equal(t, OK, verdict, path)
	}
}

// A process is killed before every call that an operation makes, and the history
// with those who come after it is ok.
func TestKilledBeforeEveryCall(t *testing.T) {
	stride := int64(1)
	if testing.Short() {
		stride = 31
	}
	for _, layout := range []string{"vfs", "overlay"} {
		for _, actions := range []string{"create c", "delete a b"} {
			t.Run(layout+"/"+actions, func(t *testing.T) {
				t.Parallel()
				var seen []int // how many layers, for every crash point
				for n := int64(1); ; n += stride {
					p := newPlayer(t, layout, actions)
					p.do("1.1", "create a", Done)
					p.do("1.1", "create b", Done)
					action := parseAction(t, actions)
					killed, err := p.scene.fork(t.Context(), 2, generation{program: Program{{action}}, crash: n}, "")
					require.NoError(t, err)
					op := p.do("3.1", "list", Done)
					want := AlreadyExists
					if len(op.Result.Layers) == 0 {
						want = Done
					}
					p.do("3.1", "create b", want)
					j := p.judge()
					require.Equal(t, OK, j.Verdict, "killed before call %d: %s", n, j)
					seen = append(seen, len(op.Result.Layers))
					if !killed {
						t.Logf("%d crash points", n-1)
						require.Greater(t, n, int64(30))
						break
					}
				}
				// It has one moment at which it takes effect.
				assert.Len(t, slices.Compact(seen), 2)
			})
		}
	}
}
