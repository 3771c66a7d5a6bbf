//go:build linux

package testfs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
)

func TestKindLeavesNothingBehind(t *testing.T) {
	for _, kind := range testfs.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			var base string
			t.Run("mounted", func(t *testing.T) {
				dir := kind.Make(t)
				base = filepath.Dir(dir)
				require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), []byte("content"), 0o600))
				require.Equal(t, kind.Mounted, mountedBelow(t, base) > 0)
			})
			if base == "" {
				t.Skip("skipped, because it was not made")
			}
			require.Zero(t, mountedBelow(t, base))
			require.Zero(t, loopDevicesBelow(t, base))
		})
	}
}

func TestKindTellsWhetherUnnamedFilesWork(t *testing.T) {
	for _, kind := range testfs.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			fd, err := unix.Open(kind.Make(t), unix.O_TMPFILE|unix.O_RDWR, 0o600)
			if err == nil {
				defer unix.Close(fd)
			}
			require.Equal(t, kind.Unnamed, err == nil, "O_TMPFILE: %v", err)
		})
	}
}

func TestKindHasLocksOfDescriptors(t *testing.T) {
	for _, kind := range testfs.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			path := filepath.Join(kind.Make(t), "lock")
			open := func() *os.File {
				f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
				require.NoError(t, err)
				t.Cleanup(func() { f.Close() })
				return f
			}
			holder, other := open(), open()
			require.NoError(t, lock(holder))
			require.ErrorIs(t, lock(other), unix.EAGAIN, "held by another descriptor of one process")
			require.NoError(t, open().Close(), "closing an unrelated descriptor")
			require.ErrorIs(t, lock(other), unix.EAGAIN)
			require.NoError(t, holder.Close())
			require.NoError(t, lock(other))
		})
	}
}

func TestKindRenamesWithoutReplacing(t *testing.T) {
	for _, kind := range testfs.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			dir := kind.Make(t)
			from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
			require.NoError(t, os.WriteFile(from, nil, 0o600))
			require.NoError(t, os.WriteFile(to, nil, 0o600))
			rename := func() error {
				return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
			}
			require.ErrorIs(t, rename(), unix.EEXIST)
			require.NoError(t, os.Remove(to))
			require.NoError(t, rename())
		})
	}
}

func TestFileSystemRunsOutOfInodes(t *testing.T) {
	for name, mount := range map[string]func(testing.TB) string{
		"tmpfs": func(t testing.TB) string { return testfs.Tmpfs(t, "nr_inodes=20") },
		"ext4":  func(t testing.TB) string { return testfs.Ext4(t, testfs.Ext4Options{MiB: 8, Inodes: 32}) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := mount(t)
			var err error
			for n := 0; err == nil; n++ {
				require.Less(t, n, 1000)
				err = os.Mkdir(filepath.Join(dir, strings.Repeat("x", n+1)), 0o700)
			}
			require.ErrorIs(t, err, unix.ENOSPC)
		})
	}
}

func TestReadOnlyRefusesToWrite(t *testing.T) {
	dir := t.TempDir()
	testfs.ReadOnly(t, dir)
	require.ErrorIs(t, os.Mkdir(filepath.Join(dir, "x"), 0o700), unix.EROFS)
}

func TestBindShowsTheSameFiles(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	testfs.Bind(t, from, to)
	require.NoError(t, os.WriteFile(filepath.Join(from, "file"), nil, 0o600))
	require.FileExists(t, filepath.Join(to, "file"))
}

func lock(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

// mountedBelow counts the mounts below dir.
func mountedBelow(t *testing.T, dir string) int { return len(testfs.MountsBelow(t, dir)) }

// loopDevicesBelow counts the loop devices with a backing file below dir.
func loopDevicesBelow(t *testing.T, dir string) int {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	require.NoError(t, err)
	n := 0
	for _, file := range files {
		// An error: the device is being detached.
		if backing, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(backing), dir+"/") {
			n++
		}
	}
	return n
}
