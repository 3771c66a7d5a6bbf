package main

import "github.com/afterlock/afterlock/tempdir"

// unordered asks for the order of renames before unlinks, and does not insist:
// what cannot be synced is deleted all the same, as rm -r does it. k is nil, or
// the kernel of a test.
func unordered(k tempdir.Kernel) tempdir.Option {
	if k == nil {
		k = tempdir.LinuxKernel()
	}
	return tempdir.WithKernel(unorderedKernel{k})
}

type unorderedKernel struct{ tempdir.Kernel }

func (k unorderedKernel) SyncData(dir int) error {
	_ = k.Kernel.SyncData(dir)
	return nil
}
