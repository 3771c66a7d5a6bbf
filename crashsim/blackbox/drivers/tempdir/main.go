// Command tempdir is a driver of package tempdir, as it is.
package main

import "github.com/afterlock/afterlock/crashsim/blackbox/driver"

func main() { driver.Main(driver.OpenTempdir()) }
