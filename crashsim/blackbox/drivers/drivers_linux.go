package drivers

import (
	"os"
	"slices"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/upstream"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func init() {
	for name, serve := range map[string]func(){
		"tempdir":  func() { driver.Main(driver.OpenTempdir()) },
		"layers":   func() { driver.Serve(driver.Layers(func() []layerstore.Option { return nil })) },
		"upstream": serveUpstream,
		"watched":  serveWatched,
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

// serveWatched reports the calls of the seam. With "bypass" it makes some that the
// seam does not hear of, with "helper" it starts a process: tests want both seen.
func serveWatched() {
	k := map[string]kernel.Kernel{"plain": kernel.Linux(), "bypass": bypass{kernel.Linux()}, "helper": helper{kernel.Linux()}}[os.Args[1]]
	os.Args = slices.Delete(os.Args, 1, 2)
	driver.Main((&watched{kernel: k}).open)
}
