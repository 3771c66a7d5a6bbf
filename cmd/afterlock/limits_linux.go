package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// What verify needs of the limits of a process. With less it would take its own
// want for a fault of what it checks.
const (
	minDescriptors = 256
	minProcesses   = 256 // and threads; the superuser has no limit
)

// checkLimits refuses to start what is going to run out.
func checkLimits() error {
	for _, l := range []struct {
		resource int
		least    uint64
		flag     string
		what     string
	}{
		{unix.RLIMIT_NOFILE, minDescriptors, "-n", "descriptors"},
		{unix.RLIMIT_NPROC, minProcesses, "-u", "processes and threads"},
	} {
		var limit unix.Rlimit
		if err := unix.Getrlimit(l.resource, &limit); err != nil {
			return fmt.Errorf("the limit of %s (ulimit %s): %w", l.what, l.flag, err)
		}
		if limit.Cur < l.least && (l.resource != unix.RLIMIT_NPROC || os.Geteuid() != 0) {
			return fmt.Errorf("only %d %s are allowed (ulimit %s), and verify needs %d", limit.Cur, l.what, l.flag, l.least)
		}
	}
	return nil
}
