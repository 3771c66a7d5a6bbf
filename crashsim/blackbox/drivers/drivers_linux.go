package drivers

import (
	"fmt"
	"os"
	"slices"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/upstream"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func init() {
	for name, serve := range map[string]func(){
		"tempdir":  func() { driver.Main(driver.OpenTempdir()) },
		"layers":   func() { driver.Serve(driver.Layers(func() []layerstore.Option { return nil })) },
		"upstream": serveUpstream,
		"faulty":   serveFaulty,
		aside:      func() {},
	} {
		proc.Register(blackbox.DriverRole(name), func([]string) { serve() })
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
	watches := map[string]kernel.Kernel{
		"watched": kernel.Linux(),
		"bypass":  bypass{kernel.Linux()},
	}
	if len(os.Args) > 1 && watches[os.Args[1]] != nil {
		w := &watched{kernel: watches[os.Args[1]]}
		os.Args = slices.Delete(os.Args, 1, 2)
		driver.Main(w.open)
		return
	}
	faults := map[string]func() kernel.Kernel{
		"norecheck": func() kernel.Kernel { return &noRecheck{Kernel: kernel.Linux()} },
		"lockfirst": func() kernel.Kernel { return &lockFirst{Kernel: kernel.Linux()} },
		"litter":    func() kernel.Kernel { return litter{kernel.Linux()} },
		"swallow":   func() kernel.Kernel { return swallow{kernel.Linux()} },
		"leak":      func() kernel.Kernel { return leak{kernel.Linux()} },
		"inplace":   func() kernel.Kernel { return inPlace{kernel.Linux()} },
		"helper":    func() kernel.Kernel { return helper{kernel.Linux()} },
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
		return driver.OpenTempdir(kernel.With[tempdir.Option](k()))(path)
	})
}
