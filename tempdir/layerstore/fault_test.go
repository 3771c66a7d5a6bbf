//go:build linux

package layerstore_test

import (
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

// Whoever cannot find out whether a layer is being removed where it is leaves it
// alone, and says so. If it moved the layer away, its id would be free, and what
// gets it next would be removed by the other.
func TestClaimThatCannotBeTried(t *testing.T) {
	path := filepath.Join(scratch(t), "store")
	s := openStore(t, path, refused{"Kernel.StageDeletion": unix.EXDEV}.options()...)
	create(t, s, "a", someFiles(3, "a"))
	receipt, err := s.DeferredDelete(background, "a")
	require.NoError(t, err)

	other := openStore(t, path, refused{"Disk.TestLock": unix.ENOLCK}.options()...)
	finished, err := other.Load(background)
	require.ErrorIs(t, err, unix.ENOLCK)
	require.ErrorIs(t, err, layerstore.ErrBusy)
	assert.Empty(t, finished)
	_, err = other.Create(background, layerstore.Layer{ID: "a"}, someFiles(3, "new"))
	require.ErrorIs(t, err, layerstore.ErrBusy)
	create(t, other, "b", someFiles(3, "b")) // nobody else is refused

	deletion, err := receipt.Finish(background)
	require.NoError(t, err)
	assert.Len(t, deletion.InPlace, 1)
	create(t, other, "a", someFiles(3, "a"))
	assertWhole(t, other, "a", 3)
	assertWhole(t, other, "b", 3)
}
