// Package staging_lockfile has package compat in the place of the package of this
// name, and the unexported things that its own tests look at.
package staging_lockfile

import "github.com/afterlock/afterlock/tempdir/compat"

type StagingLockFile struct {
	*compat.StagingLockFile
	file string
}

// stagingLockFiles is empty: compat has no table.
var stagingLockFiles []*StagingLockFile

func CreateAndLock(dir, pattern string) (*StagingLockFile, string, error) {
	l, name, err := compat.CreateAndLock(dir, pattern)
	return &StagingLockFile{StagingLockFile: l}, name, err
}

func TryLockPath(path string) (*StagingLockFile, error) {
	l, err := compat.TryLockPath(path)
	return &StagingLockFile{StagingLockFile: l}, err
}
