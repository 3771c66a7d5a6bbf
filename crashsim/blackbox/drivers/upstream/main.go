//go:build linux

// Command upstream is a driver of the fixture of containers/storage as
// released. It loses live data; nothing but checks should run it.
package main

import (
	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/internal/upstream"
)

func main() { driver.Main(driver.OpenUpstream(upstream.Options{})) }
