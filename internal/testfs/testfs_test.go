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

func TestKinds(t *testing.T) {
	for _, kind := range testfs.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			base := ""
			t.Run("mounted", func(t *testing.T) {
				dir := kind.Make(t)
				base = filepath.Dir(dir)
				require.Equal(t, kind.Mounted, mountedBelow(t, base) > 0)
				fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
				if err == nil {
					unix.Close(fd)
				}
				require.Equal(t, kind.Name == "fuse", err != nil, "O_TMPFILE: %v", err)

				open := func() *os.File {
					f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
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
			if base == "" {
				t.Skip("skipped, because it was not made")
			}
			require.Zero(t, mountedBelow(t, base))
			require.Zero(t, loopDevicesBelow(t, base))
		})
	}
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
