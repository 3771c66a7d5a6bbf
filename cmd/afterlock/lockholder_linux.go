package main

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// lockHolder says whether a process holds a lock of the file path, and which if
// it is a POSIX lock. It takes no lock. Closing the descriptor drops no lock
// either: this program holds none of such a file.
func lockHolder(path string) (held bool, pid int, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, 0, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lock); err != nil {
		return false, 0, &fs.PathError{Op: "ask for the lock of", Path: path, Err: err}
	}
	if lock.Type == unix.F_UNLCK {
		return false, 0, nil
	}
	return true, max(0, int(lock.Pid)), nil
}

func isNotDirectory(err error) bool { return errors.Is(err, unix.ENOTDIR) }
