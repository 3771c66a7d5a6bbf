//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package compat

import (
	"io/fs"
	"os"
	"syscall"

	"github.com/afterlock/afterlock/tempdir"
)

func systemLock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return tempdir.ErrHeld
	}
	return err
}

// systemClearFlags clears the flags that keep name from being removed, as upstream
// does on FreeBSD, whose base system has such files in every image.
func systemClearFlags(dir *os.Root, name string, info fs.FileInfo) bool {
	if info == nil || !info.Mode().IsRegular() && !info.IsDir() {
		return false
	}
	if status, ok := info.Sys().(*syscall.Stat_t); !ok || status.Flags == 0 {
		return false
	}
	file, err := dir.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	return syscall.Fchflags(int(file.Fd()), 0) == nil
}
