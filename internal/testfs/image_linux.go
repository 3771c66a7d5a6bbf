package testfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stretchr/testify/require"
)

// Ext4 mounts an ext4 file system of the given size from a file. No block is
// reserved for root, so that a full disk is full for everybody.
func Ext4(t testing.TB, o Ext4Options) string {
	t.Helper()
	if o.MiB == 0 {
		o.MiB = 64
	}
	arguments := []string{"-q", "-F", "-m", "0", "-b", "1024"}
	if o.Inodes != 0 {
		arguments = append(arguments, "-N", strconv.Itoa(o.Inodes))
	}
	return image(t, "ext4", o.MiB, arguments...)
}

// Xfs mounts an xfs file system from a file.
func Xfs(t testing.TB) string {
	t.Helper()
	return image(t, "xfs", 320, "-q")
}

// Btrfs mounts a btrfs file system from a file.
func Btrfs(t testing.TB) string {
	t.Helper()
	return image(t, "btrfs", 160, "-q")
}

// image makes a file system in a sparse file and mounts it by a loop device.
func image(t testing.TB, fstype string, mib int, arguments ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped, because -short: making a file system takes long")
	}
	needRoot(t)
	mkfs, err := exec.LookPath("mkfs." + fstype)
	if err != nil {
		t.Skipf("skipped, because mkfs.%s is not installed", fstype)
	}
	// First, because mkfs.btrfs looks at the loop devices too.
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("skipped, because there are no loop devices: %v", err)
	}
	defer control.Close()
	file := filepath.Join(t.TempDir(), fstype+".img")
	f, err := os.Create(file)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(int64(mib)<<20))
	if out, err := exec.Command(mkfs, append(arguments, file)...).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.%s: %v\n%s", fstype, err, out)
	}
	device := attach(t, control, f)
	defer device.Close() // the mount keeps it; without one, it detaches now
	target := t.TempDir()
	mount(t, device.Name(), target, fstype, 0, "")
	return target
}

// attachAttempts bounds how often a free loop device is looked for: other
// processes look, too.
const attachAttempts = 100

// attach makes f the backing file of a loop device, which detaches with its
// last user.
func attach(t testing.TB, control, f *os.File) *os.File {
	t.Helper()
	for range attachAttempts {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			t.Skipf("skipped, because no loop device is free: %v", err)
		}
		device, err := os.OpenFile("/dev/loop"+strconv.Itoa(number), os.O_RDWR, 0)
		if err != nil {
			t.Skipf("skipped, because no loop device is free: %v", err)
		}
		err = unix.IoctlLoopConfigure(int(device.Fd()), &unix.LoopConfig{
			Fd:   uint32(f.Fd()),
			Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_AUTOCLEAR},
		})
		if err == nil {
			return device
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) {
			t.Fatalf("attach %s to %s: %v", f.Name(), device.Name(), err)
		}
	}
	t.Skip("skipped, because every free loop device went to somebody else")
	return nil
}
