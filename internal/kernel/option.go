package kernel

import "time"

// Options of tempdir and layerstore that importers cannot have: each package
// registers how one of its own is made. Written by init functions only.
var kernelOptions, diskOptions, clockOptions []any

// RegisterOption says how an Option of the calling package puts a kernel in the
// place of the running one. To be called by init.
func RegisterOption[O any](option func(Kernel) O) { kernelOptions = append(kernelOptions, option) }

// RegisterDiskOption is [RegisterOption] for a [Disk].
func RegisterDiskOption[O any](option func(Disk) O) { diskOptions = append(diskOptions, option) }

// RegisterClockOption is [RegisterOption] for a clock.
func RegisterClockOption[O any](option func(now func() time.Time) O) {
	clockOptions = append(clockOptions, option)
}

// With is an option of the package whose Option type O is, such as tempdir.Option:
// every system call of the protocol is made through k; nil is the running kernel.
func With[O any](k Kernel) O { return registered[O](kernelOptions, k) }

// WithDisk is an option of the package whose Option type O is: the store's own
// system calls are made through d.
func WithDisk[O any](d Disk) O { return registered[O](diskOptions, d) }

// WithClock is an option of the package whose Option type O is: it asks now for the
// time, in place of [time.Now].
func WithClock[O any](now func() time.Time) O { return registered[O](clockOptions, now) }

func registered[O, A any](options []any, argument A) O {
	for _, option := range options {
		if option, is := option.(func(A) O); is {
			return option(argument)
		}
	}
	panic("kernel: no such option is registered")
}
