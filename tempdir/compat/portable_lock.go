package compat

import (
	"io/fs"
	"os"
	"sync"
)

// lockFile takes the lock of the open file, without waiting, or returns
// [tempdir.ErrHeld]; tests put one in its place that does not work. The lock
// belongs to the open file, so that goroutines exclude each other, and
// conflicts with upstream's POSIX locks.
var lockFile = systemLock

// held has the files of held locks: one that nobody refers to would be closed by
// the collector of garbage, and its instance be stale while its process lives.
var held sync.Map

// drop closes a lock file whose lock could not be taken; unless a POSIX lock of
// this process may be the reason: that would be lost with the close (rule 15).
// Such a file is parked, one for each inode, until its lock can be taken.
func drop(file *os.File) {
	if heldElsewhere(file) {
		file.Close()
		return
	}
	parked.Lock()
	defer parked.Unlock()
	parked.files = append(parked.files, file)
	kept := parked.files[:0]
	for _, file := range parked.files {
		if lockFile(file) == nil {
			file.Close() // nobody holds it, and nobody can take it before the close
		} else {
			kept = append(kept, file)
		}
	}
	parked.files = kept
}

// unpark returns the parked file of this inode, to be tried again instead of
// opening another one, or nil.
func unpark(info fs.FileInfo) *os.File {
	parked.Lock()
	defer parked.Unlock()
	for i, file := range parked.files {
		if held, err := file.Stat(); err == nil && os.SameFile(held, info) {
			parked.files = append(parked.files[:i], parked.files[i+1:]...)
			return file
		}
	}
	return nil
}

var parked struct {
	sync.Mutex
	files []*os.File
}
