package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	_ "github.com/afterlock/afterlock/crashsim/blackbox/drivers" // the black box starts them
	"github.com/afterlock/afterlock/internal/bench/worlds"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// The stage worlds runs commands of this program in places of its own.
func init() {
	worlds.Command = func(ctx context.Context, arguments []string, out io.Writer) int {
		return run(ctx, arguments, out, out)
	}
}

// onLinux are the commands that there are on Linux only.
func onLinux() []*cobra.Command {
	return []*cobra.Command{newReplay(), newClaims(), newUpstream(), newMutants(), newBench()}
}

// runningKernel is the running one, as uname(1) has it, or "".
func runningKernel() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])
}

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

// lockHolder says whether a process holds a lock of the file path, and which if
// it is a POSIX lock. It takes no lock. Closing the descriptor drops no lock
// either: this program holds none of such a file.
func lockHolder(path string) (held bool, pid int, err error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, 0, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &lock); err != nil {
		return false, 0, &fs.PathError{Op: "ask for the lock of", Path: path, Err: err}
	}
	if lock.Type == unix.F_UNLCK {
		return false, 0, nil
	}
	return true, max(0, int(lock.Pid)), nil
}

func isNotDirectory(err error) bool { return errors.Is(err, unix.ENOTDIR) }

// unordered asks for the order of renames before unlinks, and does not insist:
// what cannot be synced is deleted all the same, as rm -r does it. k is nil, or
// the kernel of a test.
func unordered(k kernel.Kernel) tempdir.Option {
	if k == nil {
		k = kernel.Linux()
	}
	return kernel.With[tempdir.Option](unorderedKernel{k})
}

type unorderedKernel struct{ kernel.Kernel }

func (k unorderedKernel) SyncData(dir int) error {
	_ = k.Kernel.SyncData(dir)
	return nil
}
