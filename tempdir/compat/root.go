package compat

import (
	"errors"
	"path/filepath"
	"syscall"
	"time"

	"github.com/afterlock/afterlock/tempdir"
)

// How old something has to be before recovery takes it for a leftover, where
// an unfixed process in the right place could still be using it; see
// [tempdir.MixedFleet].
const (
	lockGrace = time.Minute
	dataGrace = 24 * time.Hour
)

// kernel makes all system calls: package tempdir's own, unless tests put another
// in its place.
var kernel tempdir.Kernel

// openRoot opens the root, which may be a symbolic link to a directory.
func openRoot(path string, more ...tempdir.Option) (*tempdir.Root, error) {
	options := append(more, tempdir.WithKernel(kernel), tempdir.MixedFleet(lockGrace, dataGrace))
	return resolving(path, func(path string) (*tempdir.Root, error) {
		return tempdir.Open(path, options...)
	})
}

// resolving calls open with path, and once more with its links resolved if
// there is something else than a directory: a store's configuration may name
// its directories by symbolic links, which package tempdir does not follow.
// Locks belong to inodes, so it does not matter which name a process used.
func resolving[T any](path string, open func(path string) (T, error)) (T, error) {
	opened, err := open(path)
	if errors.Is(err, syscall.ENOTDIR) {
		if resolved, evalErr := filepath.EvalSymlinks(path); evalErr == nil && resolved != filepath.Clean(path) {
			return open(resolved)
		}
	}
	return opened, err
}
