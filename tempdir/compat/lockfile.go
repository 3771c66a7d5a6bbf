package compat

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/afterlock/afterlock/tempdir"
)

// lockAttempts bounds how often a lock file is tried whose name goes to others
// at that very moment.
const lockAttempts = 100

// A StagingLockFile is a lock file and its lock, which this process holds until
// [StagingLockFile.UnlockAndDelete] or until it ends. A StagingLockFile that is
// dropped stays locked. Its methods may be called concurrently.
type StagingLockFile struct {
	path string // for errors

	mu   sync.Mutex
	lock lock // nil once deleted
}

// CreateAndLock makes a new lock file in the directory dir (the default one for
// temporary files if dir is ""), with its lock held, and returns its name below
// dir. The name is pattern with 32 random hexadecimal digits instead of its
// last "*", or at its end.
//
// The lock file has its lock before it has its name, so that nobody can take it
// for stale. A failure leaves nothing; or, on file systems without O_TMPFILE,
// one lock file that is not locked. So does a crash. See [tempdir.Root.CreateLock].
func CreateAndLock(dir, pattern string) (*StagingLockFile, string, error) {
	if strings.ContainsRune(pattern, filepath.Separator) {
		return nil, "", &tempdir.Error{Op: "create lock", Path: pattern, Err: syscall.EINVAL}
	}
	if dir == "" {
		dir = os.TempDir()
	}
	prefix, suffix := pattern, ""
	if star := strings.LastIndexByte(pattern, '*'); star >= 0 {
		prefix, suffix = pattern[:star], pattern[star+1:]
	}
	var name string
	l, err := lockIn(dir, func(r root) (lock, error) {
		name = prefix + newID() + suffix
		return r.CreateLock(name)
	})
	if err != nil {
		return nil, "", err
	}
	l.path = filepath.Join(dir, name)
	return l, name, nil
}

// TryLockPath takes the lock of the lock file path, and makes the file if it
// does not exist. It never waits: if the lock is held, here or elsewhere, the
// error is [tempdir.ErrHeld]; any other error means that it could not be tried.
//
// A file that exists is opened without creating, locked, and rechecked: if its
// name has gone to another file meanwhile, TryLockPath starts again. A file
// that does not exist is published locked, as [CreateAndLock] does. What is not
// a regular file with one name is [tempdir.ErrForeign] and is not touched.
func TryLockPath(path string) (*StagingLockFile, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, &tempdir.Error{Op: "try lock", Path: path, Err: err}
	}
	dir, name := filepath.Split(absolute)
	l, err := lockIn(filepath.Clean(dir), func(r root) (lock, error) {
		l, err := r.TryLock(name)
		if errors.Is(err, fs.ErrNotExist) {
			l, err = r.CreateLock(name)
		}
		return l, err
	})
	if errors.Is(err, tempdir.ErrHeld) {
		err = fmt.Errorf("failed to acquire lock on %q: %w", absolute, err) // as upstream says it
	}
	if err != nil {
		return nil, err
	}
	l.path = absolute
	return l, nil
}

// lockIn opens the directory and calls take until somebody else is not faster.
func lockIn(dir string, take func(root) (lock, error)) (*StagingLockFile, error) {
	r, err := openRoot(dir, false)
	if err != nil {
		return nil, err
	}
	defer r.Close() // the lock keeps the descriptor as long as it is held
	for range lockAttempts {
		var held lock
		held, err = take(r)
		if err == nil {
			return &StagingLockFile{lock: held}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return nil, err
}

// UnlockAndDelete unlinks the lock file and releases the lock, in this order.
//
// It first rechecks that the name still is the file whose lock is held. If
// another file has the name, that is somebody else's and stays, and the error
// is [tempdir.ErrInstanceGone]: the protocol was broken. If nothing has it, for
// example because the caller removed the whole directory, that is success.
//
// The lock is released whatever UnlockAndDelete returns. Calling it again
// returns [tempdir.ErrClosed] and touches nothing.
func (l *StagingLockFile) UnlockAndDelete() error {
	if l == nil {
		return &tempdir.Error{Op: "delete lock", Kind: tempdir.ErrClosed}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lock == nil {
		return &tempdir.Error{Op: "delete lock", Path: l.path, Kind: tempdir.ErrClosed}
	}
	err := l.lock.Delete()
	l.lock = nil
	if errors.Is(err, tempdir.ErrInstanceGone) {
		if _, statErr := os.Lstat(l.path); errors.Is(statErr, fs.ErrNotExist) {
			return nil
		}
	}
	return err
}
