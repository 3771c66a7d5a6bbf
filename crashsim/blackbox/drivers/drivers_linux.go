package drivers

import (
	"fmt"
	"os"
	"slices"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/internal/upstream"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// Become does not return in a process that the black box has started as a
// driver: it serves and exits. In every other process it does nothing. Call it
// first thing in main.
func Become() {
	serve := map[string]func(){
		"tempdir":  func() { driver.Main(driver.OpenTempdir()) },
		"layers":   func() { driver.Serve(driver.Layers(func() []layerstore.Option { return nil })) },
		"upstream": serveUpstream,
		"faulty":   serveFaulty,
	}[os.Getenv(blackbox.DriverVariable)]
	if serve != nil {
		serve()
		os.Exit(0)
	}
}

// serveUpstream loses live data; nothing but checks should run it.
func serveUpstream() {
	options := upstream.Options{}
	if len(os.Args) > 1 {
		options.CreatorRechecks = os.Args[1] == "creatorrechecks"
		options.RecovererRechecks = os.Args[1] == "recovererrechecks"
		if options.CreatorRechecks || options.RecovererRechecks {
			os.Args = slices.Delete(os.Args, 1, 2)
		}
	}
	driver.Main(driver.OpenUpstream(options))
}

// serveFaulty has the mutant that the first argument names. "watched" is none:
// it reports the calls of the seam.
func serveFaulty() {
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
		fmt.Fprintln(os.Stderr, "usage: faulty MUTANT [COMMAND]")
		os.Exit(2)
	}
	fault := os.Args[1]
	os.Args = slices.Delete(os.Args, 1, 2)
	if serveLayers(fault) {
		return
	}
	k := faults[fault]
	driver.Main(func(path string) (driver.Root, error) {
		return driver.OpenTempdir(tempdir.WithKernel(k()))(path)
	})
}
