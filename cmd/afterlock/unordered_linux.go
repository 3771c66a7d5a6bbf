package main

import "github.com/afterlock/afterlock/tempdir"

// unordered asks for the order of renames before unlinks, and does not insist:
// what cannot be synced is deleted all the same, as rm -r does it.
func unordered() []tempdir.Option {
	return []tempdir.Option{tempdir.WithKernel(unorderedKernel{tempdir.LinuxKernel()})}
}

type unorderedKernel struct{ tempdir.Kernel }

func (k unorderedKernel) SyncData(dir int) error {
	_ = k.Kernel.SyncData(dir)
	return nil
}
