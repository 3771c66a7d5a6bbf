package testfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

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
	if err != nil {
		t.Fatal(err)
	}
	return flags & (Immutable | AppendOnly | NoDump)
}

func openForFlags(t testing.TB, path string) *os.File {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		t.Fatal(err)
	}
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
	if err != nil {
		t.Fatal(err)
	}
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
