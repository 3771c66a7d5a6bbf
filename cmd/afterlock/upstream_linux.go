package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/subjects"
)

// upstreamModes are all of them.
var upstreamModes = []upstreamMode{
	{"", "", "runs seconds", (*subjects.Workshop).Fixed},
	{"steered", "the schedule alone, --runs times (1); words: VARIANT or VARIANT/MOMENT (released)", "runs",
		func(w *subjects.Workshop, ctx context.Context, o subjects.Run) (*subjects.Report, error) {
			if len(o.Words) == 0 {
				o.Words = []string{"released"}
			}
			r := &subjects.Report{}
			return r, w.Schedule(ctx, r, o.Words, cmp.Or(o.Runs, 1), o.Log)
		}},
	{"older", "older releases, and Debian's podman and buildah, on one store with the newest and with compat (2 min; words: some of them, or chroot=DIRECTORY of a system with another podman)", "", (*subjects.Workshop).Older},
	{"killed", "a process that deletes or puts, and ends, killed with its group at each mutating call, and what a server makes of it (5 min; words: VARIANT/DRIVER/ERRAND/POINT, or how one begins)", "", (*subjects.Workshop).Killed},
	{"policy", "who waits when a store recovers, and until when space is taken: one trace with kills, under each policy (20 min; words: policies, or \"trace\" to print it)", "runs seed",
		func(w *subjects.Workshop, ctx context.Context, o subjects.Run) (*subjects.Report, error) {
			if slices.Equal(o.Words, []string{"trace"}) {
				_, err := fmt.Fprint(o.Out, o.Trace())
				return nil, err
			}
			return w.Policies(ctx, o)
		}},
	{"adopt", "its own tests and commands, with and without compat (words: " + strings.Join(subjects.AdoptionSteps(), ", ") + ")", "runs", (*subjects.Workshop).Adopt},
	{"patch", "the patch of docs/UPSTREAM.md on a copy, whole, without each part, and with recovery out of the locks (10 min; words: " + strings.Join(subjects.PatchParts(), ", ") + ")", "runs seconds", (*subjects.Workshop).Patch},
}

// mountsVariable says that the process has mounts of its own.
const mountsVariable = "AFTERLOCK_OWN_MOUNTS"

// ownMounts starts the program anew in a mount name space of its own, if root may
// have one: whatever is mounted by this process, or by what it starts, is gone when
// they are, however they end. It is the same process, so that signals find it. Who
// is not root cannot mount.
func ownMounts() error {
	if os.Geteuid() != 0 || os.Getenv(mountsVariable) != "" {
		return os.Unsetenv(mountsVariable)
	}
	runtime.LockOSThread() // exec(2) keeps the name space of the thread that calls it
	defer runtime.UnlockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNS)
	if errors.Is(err, unix.EPERM) {
		return nil // nothing can be mounted, either, and what needs it is skipped
	}
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), mountsVariable+"=1"))
	}
	return fmt.Errorf("start anew with mounts of its own: %w", err)
}
