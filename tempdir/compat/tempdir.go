package compat

import (
	"errors"

	"github.com/afterlock/afterlock/tempdir"
)

// A TempDir is a live instance in RootDir: this process holds its lock. Its
// methods may be called concurrently.
type TempDir struct {
	RootDir string // as it was given to NewTempDir; changing it has no effect

	dir instance
}

// NewTempDir makes a new, live, empty instance in rootDir, and rootDir itself,
// with permissions 0700, if it does not exist. The caller must call
// [TempDir.Cleanup].
//
// It may be called before the store lock is taken, while others recover. If it
// fails it leaves at most one stale lock file, which the next recovery removes,
// and no descriptor. A crash leaves a stale instance.
func NewTempDir(rootDir string) (*TempDir, error) {
	r, err := openRoot(rootDir, true)
	if err != nil {
		return nil, err
	}
	defer r.Close() // the instance keeps the descriptor as long as it lives
	dir, err := r.Create()
	if err != nil {
		return nil, err
	}
	return &TempDir{RootDir: rootDir, dir: dir}, nil
}

// StageDeletion moves the victim path into the instance with one rename: the
// call to make under the store lock. Cleanup removes it, and so does any
// process that recovers after a crash.
//
// An error that matches [fs.ErrNotExist] says that the victim was gone already,
// and nothing else: [tempdir.ErrInstanceGone] does not match it. After Cleanup
// the error is [tempdir.ErrClosed]. See [tempdir.Dir.StageDeletion].
func (td *TempDir) StageDeletion(path string) error {
	if td == nil || td.dir == nil {
		return &tempdir.Error{Op: "stage deletion", Path: path, Kind: tempdir.ErrClosed}
	}
	return td.dir.StageDeletion(path)
}

// StageAddition reserves a path inside the instance and makes nothing there:
// the caller creates a file, a directory or anything else at
// [StagedAddition.Path] and then calls [StagedAddition.Commit], before Cleanup.
// After Cleanup the error is [tempdir.ErrClosed].
func (td *TempDir) StageAddition() (*StagedAddition, error) {
	if td == nil || td.dir == nil {
		return nil, &tempdir.Error{Op: "stage addition", Kind: tempdir.ErrClosed}
	}
	staged, err := td.dir.StageAddition()
	if err != nil {
		return nil, err
	}
	return &StagedAddition{Path: staged.Path(), addition: staged}, nil
}

// Cleanup removes everything that is staged and the instance with it. Call it
// after the store lock is dropped: it takes as long as the unlinks take.
//
// If data cannot be removed the error is a [*tempdir.LeftoverError]: both names
// stay on disk, the lock is released, and any process may finish the job with
// [RecoverStaleDirs]. [tempdir.ErrInstanceGone] says that somebody took the
// instance away while it was live. Either is reported once: the TempDir is
// inactive whatever Cleanup returns, and every later call returns nil. A nil
// TempDir has nothing to clean up.
func (td *TempDir) Cleanup() error {
	if td == nil || td.dir == nil {
		return nil
	}
	err := td.dir.Close()
	if errors.Is(err, tempdir.ErrClosed) {
		return nil
	}
	return err
}

// A StagedAddition is a path at which the caller builds something that Commit
// then puts in place as a whole. It belongs to one goroutine.
type StagedAddition struct {
	// Path is absolute. It is valid until Commit succeeds or the TempDir is
	// cleaned up. Changing it does not change what Commit moves.
	Path string

	addition addition
}

// Commit moves what the caller made at Path to destination, which must not
// exist and must be on the root's file system, with one rename: a crash leaves
// all of it or nothing there. It then sets Path to "".
//
// If it fails, the content is still at Path and may be committed again. Errors
// match [fs.ErrExist], [tempdir.ErrCommitted], [tempdir.ErrClosed] after
// Cleanup, and what [tempdir.Addition.Commit] says.
func (s *StagedAddition) Commit(destination string) error {
	if s == nil || s.addition == nil {
		return &tempdir.Error{Op: "commit", Path: destination, Kind: tempdir.ErrNothingStaged}
	}
	err := s.addition.Commit(destination)
	if err == nil {
		s.Path = ""
	}
	return err
}

// A CleanupTempDirFunc is work to do after the store lock is dropped, usually
// a [TempDir.Cleanup].
type CleanupTempDirFunc func() error

// CleanupTemporaryDirectories calls every function, nil ones excepted, in
// order, and joins their errors.
func CleanupTemporaryDirectories(cleanFuncs ...CleanupTempDirFunc) error {
	var failures []error
	for _, clean := range cleanFuncs {
		if clean != nil {
			failures = append(failures, clean())
		}
	}
	return errors.Join(failures...)
}
