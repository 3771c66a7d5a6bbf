package main

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// unordered asks for the order of renames before unlinks, and does not insist:
// what cannot be synced is deleted all the same, as rm -r does it. k is nil, or
// the kernel of a test.
func unordered(k kernel.Kernel) tempdir.Option {
	if k == nil {
		k = kernel.Linux()
	}
	return kernel.With[tempdir.Option](unorderedKernel{k})
}

type unorderedKernel struct{ kernel.Kernel }

func (k unorderedKernel) SyncData(dir int) error {
	_ = k.Kernel.SyncData(dir)
	return nil
}

// inUserSpace reports whether the path exists, in a directory that is on a file
// system in user space.
func inUserSpace(path string) bool {
	if _, err := os.Lstat(path); err != nil {
		return false
	}
	var s unix.Statfs_t
	for {
		err := unix.Statfs(filepath.Dir(path), &s)
		if err != unix.EINTR {
			return err == nil && uint32(s.Type) == unix.FUSE_SUPER_MAGIC
		}
	}
}
