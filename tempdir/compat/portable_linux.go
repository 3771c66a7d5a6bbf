package compat

import (
	"io/fs"
	"os"

	"github.com/afterlock/afterlock/tempdir"
	"golang.org/x/sys/unix"
)

// systemLock is what tests of the portable code use: an open file description
// lock relates to POSIX locks as flock does on the BSDs.
func systemLock(file *os.File) error {
	err := unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	if err == unix.EAGAIN {
		return tempdir.ErrHeld
	}
	return err
}

// systemClearFlags does nothing: upstream clears flags on FreeBSD only.
func systemClearFlags(*os.Root, string, fs.FileInfo) bool { return false }
