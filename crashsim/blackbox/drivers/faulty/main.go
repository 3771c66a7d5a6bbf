//go:build linux

// Command faulty is a driver of package tempdir, or of package layerstore, with
// one fault planted, named by its first argument. Checks run it to show that they see the fault; nothing
// else should. "watched" has no fault: it reports the calls of the seam.
package main

import (
	"fmt"
	"os"
	"slices"

	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/tempdir"
)

func main() {
	watches := map[string]tempdir.Kernel{
		"watched": tempdir.LinuxKernel(),
		"bypass":  bypass{tempdir.LinuxKernel()},
	}
	if len(os.Args) > 1 && watches[os.Args[1]] != nil {
		w := &watched{kernel: watches[os.Args[1]]}
		os.Args = slices.Delete(os.Args, 1, 2)
		driver.Main(w.open)
		return
	}
	faults := map[string]func() tempdir.Kernel{
		"norecheck": func() tempdir.Kernel { return &noRecheck{Kernel: tempdir.LinuxKernel()} },
		"lockfirst": func() tempdir.Kernel { return &lockFirst{Kernel: tempdir.LinuxKernel()} },
		"litter":    func() tempdir.Kernel { return litter{tempdir.LinuxKernel()} },
		"swallow":   func() tempdir.Kernel { return swallow{tempdir.LinuxKernel()} },
		"leak":      func() tempdir.Kernel { return leak{tempdir.LinuxKernel()} },
		"inplace":   func() tempdir.Kernel { return inPlace{tempdir.LinuxKernel()} },
		"helper":    func() tempdir.Kernel { return helper{tempdir.LinuxKernel()} },
	}
	if len(os.Args) == 2 && os.Args[1] == "aside" {
		return // the process that helper starts
	}
	if len(os.Args) < 2 || faults[os.Args[1]] == nil && layerFaults[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: faulty FAULT [COMMAND]")
		os.Exit(2)
	}
	fault := os.Args[1]
	os.Args = slices.Delete(os.Args, 1, 2)
	if serveLayers(fault) {
		return
	}
	kernel := faults[fault]
	driver.Main(func(path string) (driver.Root, error) {
		return driver.OpenTempdir(tempdir.WithKernel(kernel()))(path)
	})
}
