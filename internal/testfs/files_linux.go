package testfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Flags that keep a name from being removed, see ioctl_iflags(2).
const (
	Immutable  = unix.STATX_ATTR_IMMUTABLE // the bits are the same
	AppendOnly = unix.STATX_ATTR_APPEND
	NoDump     = 0x40 // which nothing may touch
)

// SetFlags sets which of the flags path has, and clears both when the test
// ends, whatever its name is then; or it skips the test.
func SetFlags(t testing.TB, path string, flags int) {
	t.Helper()
	f := openForFlags(t, path)
	if err := changeFlags(f, flags); err != nil {
		f.Close()
		t.Skipf("skipped, because flags cannot be set here: %v", err)
	}
	if flags == 0 {
		f.Close()
		return
	}
	t.Cleanup(func() {
		changeFlags(f, 0)
		f.Close()
	})
}

// Flags returns which of the three flags path has.
func Flags(t testing.TB, path string) int {
	t.Helper()
	f := openForFlags(t, path)
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	require.NoError(t, err)
	return flags & (Immutable | AppendOnly | NoDump)
}

func openForFlags(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	require.NoError(t, err)
	return f
}

func changeFlags(f *os.File, flags int) error {
	old, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		return err
	}
	return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, old&^(Immutable|AppendOnly)|flags)
}

// Snapshot describes everything below dir, dir included, without opening anything
// but regular files: two are equal if nothing was changed between them.
func Snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		what := fmt.Sprint(info.Mode(), " inode ", info.Sys().(*syscall.Stat_t).Ino, " of ", info.ModTime())
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil && !errors.Is(err, fs.ErrPermission) {
				return err
			}
			what += " " + string(content)
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " -> " + target
		}
		seen[path] = what
		return nil
	})
	require.NoError(t, err)
	return seen
}

// InMemory returns a directory in memory if there is one, for what takes long on a
// disk.
func InMemory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "afterlock-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Elsewhere returns a directory on another file system than t.TempDir, or skips the
// test.
func Elsewhere(t testing.TB) string {
	t.Helper()
	if os.Geteuid() == 0 {
		return Tmpfs(t, "")
	}
	var there, here unix.Stat_t
	require.NoError(t, unix.Stat(t.TempDir(), &here))
	for _, parent := range []string{"/dev/shm", "/var/tmp"} {
		if dir, err := os.MkdirTemp(parent, "afterlock"); err == nil {
			t.Cleanup(func() { os.RemoveAll(dir) })
			if require.NoError(t, unix.Stat(dir, &there)); there.Dev != here.Dev {
				return dir
			}
		}
	}
	t.Skip("skipped, because there is no other file system")
	return ""
}

// Fill makes files in the new directory dir until the file system has no block left
// or, if inodes is set, no inode.
func Fill(t testing.TB, dir string, inodes bool) {
	t.Helper()
	require.NoError(t, os.Mkdir(dir, 0o700))
	for n := 0; ; n++ {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(n)))
		if err != nil {
			require.ErrorIs(t, err, unix.ENOSPC)
			return
		}
		wrote := 0
		for !inodes && unix.Fallocate(int(f.Fd()), 0, int64(wrote), 1<<20) == nil {
			wrote += 1 << 20 // takes blocks and no time
		}
		_, err = f.Seek(int64(wrote), io.SeekStart)
		require.NoError(t, err)
		for size := 1 << 16; !inodes && size > 0; size /= 16 {
			for {
				n, err := f.Write(make([]byte, size))
				if wrote += n; err != nil {
					require.ErrorIs(t, err, unix.ENOSPC)
					require.NoError(t, f.Sync()) // what had no block of its own gets one now
					break
				}
			}
		}
		require.NoError(t, f.Close())
		if !inodes && wrote == 0 {
			return
		}
	}
}
