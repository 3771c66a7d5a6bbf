//go:build linux

package layerstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A creation that fails after its flag was saved cleans up after itself, outside
// the lock, and does not wait for somebody else to do it (F27, F29).
func TestFailedCreationLeavesNothing(t *testing.T) {
	for _, driver := range layouts {
		for n := range driver.Parts(layerstore.Placed{}) {
			t.Run(fmt.Sprintf("%s/part %d", driver.Name(), n), func(t *testing.T) {
				commits := 0
				c := &calls{before: func(_ int64, name string) error {
					if name == "Kernel.Commit" {
						if commits++; commits == n+1 {
							return unix.EIO
						}
					}
					return nil
				}}
				s, path := newStore(t, append(c.options(), layerstore.WithDriver(driver))...)
				_, err := s.Create(background, layerstore.Layer{ID: "a"}, someFiles(3, "a"))
				require.ErrorIs(t, err, unix.EIO)
				assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
				assert.Empty(t, leftovers(path))
				text, err := os.ReadFile(filepath.Join(path, "layers.json"))
				require.NoError(t, err)
				assert.NotContains(t, string(text), "incomplete")
			})
		}
	}
}

// While a layer is removed in place its id is neither there nor free, and nobody else
// takes the layer away, even where that has become possible; when it is gone, the id
// can be used again. Who cannot find out whether it is being removed leaves it alone,
// too, and says so: moved away, its id would be free, and what gets it next would be
// removed by the other.
func TestInPlaceRemovalIsClaimed(t *testing.T) {
	for _, asked := range []error{nil, unix.ENOLCK} {
		path := filepath.Join(scratch(t), "store")
		s := openStore(t, path, refused{"Kernel.StageDeletion": unix.EXDEV}.options()...)
		create(t, s, "a", someFiles(3, "a"))
		receipt, err := s.DeferredDelete(background, "a")
		require.NoError(t, err)

		other := openStore(t, path, refused{"Disk.TestLock": asked}.options()...) // recovers
		assert.DirExists(t, filepath.Join(path, "vfs/dir/a"), "claimed")
		assert.Empty(t, listIDs(t, other))
		finished, err := other.Load(background)
		require.ErrorIs(t, err, asked)
		assert.Equal(t, asked != nil, errors.Is(err, layerstore.ErrBusy))
		assert.Empty(t, finished)
		_, err = other.Create(background, layerstore.Layer{ID: "a"}, someFiles(3, "new"))
		require.ErrorIs(t, err, layerstore.ErrBusy)
		_, err = other.Delete(background, "a")
		require.ErrorIs(t, err, layerstore.ErrLayerUnknown)
		_, err = other.ReadFile(background, "a", "dir0/file0")
		require.ErrorIs(t, err, layerstore.ErrLayerUnknown)
		_, err = other.Create(background, layerstore.Layer{ID: "child", Parent: "a"}, layerstore.Empty())
		require.ErrorIs(t, err, layerstore.ErrNoParent)
		report, err := other.Recover(background)
		require.ErrorIs(t, err, asked)
		assert.Equal(t, []string{"a"}, report.Flagged, "somebody else is at it")
		create(t, other, "b", someFiles(3, "b")) // nobody else is refused

		deletion, err := receipt.Finish(background)
		require.NoError(t, err)
		assert.Len(t, deletion.InPlace, 1)
		create(t, other, "a", someFiles(3, "a"))
		assertWhole(t, other, "a", 3)
		assertWhole(t, other, "b", 3)
	}
}
