//go:build !linux

package kernel

// Linux returns nil on this system: no operation gets as far as a system call.
func Linux() Kernel { return nil }
