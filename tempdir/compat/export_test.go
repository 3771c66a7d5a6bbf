package compat

import "github.com/afterlock/afterlock/tempdir"

// SwapKernel makes all system calls go through k until restore is called.
func SwapKernel(k tempdir.Kernel) (restore func()) {
	old := kernel
	kernel = k
	return func() { kernel = old }
}
