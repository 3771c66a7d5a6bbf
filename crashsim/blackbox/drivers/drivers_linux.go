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
	proc.Begin(map[string]func([]string){
		blackbox.DriverRole("tempdir"):  func([]string) { driver.Main(driver.OpenTempdir()) },
		blackbox.DriverRole("layers"):   func([]string) { driver.Serve(driver.Layers(func() []layerstore.Option { return nil })) },
		blackbox.DriverRole("upstream"): func([]string) { serveUpstream() },
	})
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
