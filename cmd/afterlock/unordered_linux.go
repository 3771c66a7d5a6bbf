package main

import (
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
