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

// The number of a lock file comes back on another one as soon as nobody holds the
// inode, and then whoever compares a remembered number unlinks a lock file that is
// live. It does not come back while a descriptor holds the inode, which is why this
// package compares what it holds (rule 7).
func TestInodeNumberOfALockFileComesBack(t *testing.T) {
	if !mounting(t) {
		return
	}
	const name = "staging.lock" // one that is used again, unlike one with an id
	root := openAt(t, filepath.Join(testfs.Ext4(t, testfs.Ext4Options{MiB: 8}), "root"))
	path := filepath.Join(root.Path(), name)
	number := func() uint64 {
		var s unix.Stat_t
		require.NoError(t, unix.Lstat(path, &s))
		return s.Ino
	}
	comesBack := func(want uint64) (back bool) {
		for tries := 0; !back && tries < 1000; tries++ {
			lock := must(root.CreateLock(name))
			back = number() == want
			require.NoError(t, lock.Delete())
		}
		return back
	}
	held := must(root.CreateLock(name))
	remembered := number()
	require.NoError(t, os.Remove(path)) // by somebody who breaks the protocol
	require.False(t, comesBack(remembered), "a descriptor holds it")
	stranger := must(root.CreateLock(name))
	require.ErrorIs(t, held.Delete(), tempdir.ErrInstanceGone)
	require.FileExists(t, path, "a stranger's lock file")
	_, err := root.TryLock(name)
	require.ErrorIs(t, err, tempdir.ErrHeld)
	require.NoError(t, stranger.Delete())
	require.True(t, comesBack(remembered))
}
