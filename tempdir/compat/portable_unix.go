//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package compat

import (
	"io/fs"
	"os"
	"syscall"
)

// heldElsewhere reports whether another process, or another open file of this
// one, holds the lock of the file. POSIX locks of this process do not count:
// they do not conflict with the one that is asked for here.
func heldElsewhere(file *os.File) bool {
	lock := syscall.Flock_t{Type: syscall.F_WRLCK}
	err := syscall.FcntlFlock(file.Fd(), syscall.F_GETLK, &lock)
	return err == nil && lock.Type != syscall.F_UNLCK
}

// device is the number of the file system; a null mount has one of its own.
func device(info fs.FileInfo) uint64 {
	if status, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(status.Dev)
	}
	return 0
}

func links(info fs.FileInfo) uint64 {
	if status, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(status.Nlink)
	}
	return 1
}

// ofAnotherUser reports whether the file is not this user's.
func ofAnotherUser(info fs.FileInfo) bool {
	status, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(status.Uid) != os.Geteuid()
}
