package volume

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// MayMount reports whether this process has the capability that mounts, and that makes name
// spaces: root of a container often has not.
func MayMount() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	return unix.Capget(&header, &sets[0]) == nil && sets[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// NameSpaces are what a process is started with that mounts: name spaces of its own for
// mounts and processes, so that nothing stays mounted and nothing runs on, whatever
// happens. There are none for who may not mount.
func NameSpaces() *syscall.SysProcAttr {
	if !MayMount() {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
}

// Apart keeps what this process mounts from now on to its name space, and mounts the
// /proc of its processes. It was started in [NameSpaces] that are not none.
func Apart() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err // what comes next would be mounted for everybody
	}
	return unix.Mount("proc", "/proc", "proc", 0, "")
}

// Mount makes a file system of so many MiB in the new, sparse file image, by mkfs and
// its arguments, and mounts it at the directory dir by a loop device that goes with the
// mount. The error of a program has what it said.
func Mount(image, dir string, mib int, mkfs ...string) error {
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	err = errors.Join(f.Truncate(int64(mib)<<20), f.Close())
	if err == nil {
		if _, err = exec.Command(mkfs[0], append(mkfs[1:len(mkfs):len(mkfs)], image)...).Output(); err == nil {
			_, err = exec.Command("mount", "-o", "loop", image, dir).Output()
		}
	}
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	return err
}
