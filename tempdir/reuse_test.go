//go:build linux

package tempdir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const reusedName = "staging.lock" // a name that is used again, unlike one with an id

// A rememberer is an owner as rule 7 forbids it: it closed its descriptor, knows
// the number of its lock file, and compares that before it unlinks.
type rememberer struct {
	path   string
	number uint64
}

func remember(t testing.TB, path string) rememberer {
	t.Helper()
	return rememberer{path, inodeOf(t, path)}
}

// delete unlinks the lock file, if it still is the one that it remembers.
func (r rememberer) delete(t testing.TB) (deleted bool) {
	t.Helper()
	if inodeOf(t, r.path) != r.number {
		return false
	}
	require.NoError(t, os.Remove(r.path))
	return true
}

func inodeOf(t testing.TB, path string) uint64 {
	t.Helper()
	var s unix.Stat_t
	require.NoError(t, unix.Lstat(path, &s))
	return s.Ino
}

// lockWithNumber makes lock files of the reused name, each deleted before the
// next, until one has the inode number, or gives up after so many.
func lockWithNumber(t testing.TB, root *tempdir.Root, number uint64, attempts int) (lock *tempdir.Lock, made int) {
	t.Helper()
	for made < attempts {
		lock, err := root.CreateLock(reusedName)
		require.NoError(t, err)
		made++
		if inodeOf(t, filepath.Join(root.Path(), reusedName)) == number {
			return lock, made
		}
		require.NoError(t, lock.Delete())
	}
	return nil, made
}

// The number of a lock file comes back on another one as soon as nobody holds
// the inode, and then whoever compares a remembered number unlinks a lock file
// that is live. It does not come back while a descriptor holds the inode, which
// is why this package compares what it holds (rule 7).
func TestInodeNumberOfALockFileComesBack(t *testing.T) {
	if !mounting(t) {
		return
	}
	for _, kind := range testfs.Kinds() {
		var reuses bool
		switch kind.Name {
		case "ext4", "xfs":
			reuses = true
		case "tmpfs", "btrfs": // count up, for all that is known
		default:
			continue
		}
		t.Run(kind.Name, func(t *testing.T) {
			root := openAt(t, filepath.Join(kind.Make(t), "root"))
			path := filepath.Join(root.Path(), reusedName)

			t.Run("closed", func(t *testing.T) {
				gone, err := root.CreateLock(reusedName)
				require.NoError(t, err)
				fixture := remember(t, path)
				require.NoError(t, gone.Delete()) // unlinked and closed
				attempts := 1000
				if reuses {
					attempts = 1_000_000 // xfs frees inodes in the background
				}
				live, made := lockWithNumber(t, root, fixture.number, attempts)
				if !reuses && live == nil {
					t.Logf("inode number %d did not come back within %d lock files", fixture.number, made)
					return
				}
				require.NotNil(t, live, "inode number %d did not come back within %d lock files", fixture.number, made)
				t.Logf("inode number %d came back with lock file %d", fixture.number, made)

				require.True(t, fixture.delete(t), "the fixture takes a live lock file for its own")
				require.NoFileExists(t, path)
				require.ErrorIs(t, live.Delete(), tempdir.ErrInstanceGone)
			})

			t.Run("held", func(t *testing.T) {
				held, err := root.CreateLock(reusedName)
				require.NoError(t, err)
				fixture := remember(t, path)
				require.NoError(t, os.Remove(path)) // by somebody who breaks the protocol
				stranger, made := lockWithNumber(t, root, fixture.number, 1000)
				require.Nil(t, stranger, "inode number %d came back, with lock file %d, while a descriptor holds it", fixture.number, made)
				stranger, err = root.CreateLock(reusedName)
				require.NoError(t, err)

				require.ErrorIs(t, held.Delete(), tempdir.ErrInstanceGone)
				require.FileExists(t, path, "a stranger's lock file")
				_, err = root.TryLock(reusedName)
				require.ErrorIs(t, err, tempdir.ErrHeld)
				require.NoError(t, stranger.Delete())
			})
		})
	}
}
