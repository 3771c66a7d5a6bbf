//go:build linux

package tempdir_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A lock file on its own, by each way to publish it.
func TestLockExcludesAndIsDeletedOnce(t *testing.T) {
	for name, before := range map[string]func(method, name string) error{"publish locked": nil, "fallback": withoutUnnamed} {
		t.Run(name, func(t *testing.T) {
			k := newTap()
			k.set(before)
			root := openRoot(t, kernel.With[tempdir.Option](k))
			_, err := root.TryLock("staging.lock")
			require.ErrorIs(t, err, fs.ErrNotExist)
			assert.Empty(t, rootNames(t, root), "trying creates nothing (rule 3)")

			lock, err := root.CreateLock("staging.lock")
			require.NoError(t, err)
			_, err = root.TryLock("staging.lock")
			require.ErrorIs(t, err, tempdir.ErrHeld)
			_, err = root.CreateLock("staging.lock")
			require.ErrorIs(t, err, fs.ErrExist)

			require.NoError(t, lock.Delete())
			require.ErrorIs(t, lock.Delete(), tempdir.ErrClosed)
			assert.Empty(t, rootNames(t, root))

			require.NoError(t, os.WriteFile(filepath.Join(root.Path(), "stale.lock"), nil, 0o600))
			lock, err = root.TryLock("stale.lock")
			require.NoError(t, err)
			require.NoError(t, os.Remove(filepath.Join(root.Path(), "stale.lock")))
			require.ErrorIs(t, lock.Delete(), tempdir.ErrInstanceGone)
			assert.Len(t, k.open, 0, "descriptors")
		})
	}
}

func TestLockNamesAreSingleElements(t *testing.T) {
	root := openRoot(t)
	for _, name := range []string{"", ".", "..", "a/b", "/etc/passwd", "../lock"} {
		_, err := root.CreateLock(name)
		assert.ErrorIs(t, err, unix.EINVAL, name)
		_, err = root.TryLock(name)
		assert.ErrorIs(t, err, unix.EINVAL, name)
	}
}
