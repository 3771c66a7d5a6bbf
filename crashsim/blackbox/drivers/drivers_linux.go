package drivers

import (
	"os"
	"slices"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/upstream"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func init() {
	for name, serve := range map[string]func(){
		"tempdir":  func() { driver.Main(driver.OpenTempdir()) },
		"layers":   func() { driver.Serve(driver.Layers(func() []layerstore.Option { return nil })) },
		"upstream": serveUpstream,
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
