//go:build linux

// Command upstream is a driver of the fixture of containers/storage as released
// or, if its first argument says so, with one half of the fix. It loses live
// data; nothing but checks should run it.
package main

import (
	"os"
	"slices"

	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/internal/upstream"
)

func main() {
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
