// Command layers is a driver of package layerstore, as it is.
package main

import (
	"github.com/afterlock/afterlock/crashsim/blackbox/driver"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func main() {
	driver.Serve(driver.Layers(func() []layerstore.Option { return nil }))
}
