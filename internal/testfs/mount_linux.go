package testfs

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"

	"github.com/stretchr/testify/require"
)

// Tmpfs mounts a tmpfs with these mount options, such as "size=1m,nr_inodes=20".
func Tmpfs(t testing.TB, options string) string {
	t.Helper()
	return Mount(t, "tmpfs", "tmpfs", options)
}

// Mount mounts a file system of any type over an empty directory.
func Mount(t testing.TB, source, fstype, options string) string {
	t.Helper()
	target := t.TempDir()
	MountAt(t, source, target, fstype, options)
	return target
}

// MountAt mounts a file system of any type at target.
func MountAt(t testing.TB, source, target, fstype, options string) {
	t.Helper()
	mount(t, source, target, fstype, 0, options)
}

// Overlay mounts an overlay of two empty directories.
func Overlay(t testing.TB) string {
	t.Helper()
	base, target := t.TempDir(), t.TempDir()
	options := ""
	for _, part := range []string{"lower", "upper", "work"} {
		dir := filepath.Join(base, part)
		require.NoError(t, os.Mkdir(dir, 0o755))
		options += "," + part + "dir=" + dir
	}
	mount(t, "overlay", target, "overlay", 0, options[1:])
	return target
}

// OverlayIn mounts an overlay with these options at target, by a thread whose
// working directory is dir, so that the options can have relative names.
func OverlayIn(t testing.TB, dir, target, options string) {
	t.Helper()
	mountIn(t, dir, "overlay", target, "overlay", 0, options)
}

// Bindfs mounts a file system that, as some network file systems do, knows
// RENAME_NOREPLACE as little as O_TMPFILE.
func Bindfs(t testing.TB) string {
	t.Helper()
	source, target := t.TempDir(), t.TempDir()
	inUserSpace(t, target, "bindfs", source)
	return target
}

// FuseOverlayfs mounts a union of the directories below dir, which it makes: lower,
// upper and work.
func FuseOverlayfs(t testing.TB, dir, target string) {
	t.Helper()
	options := "lowerdir=lower,upperdir=upper,workdir=work"
	for _, name := range []string{"lower", "upper", "work"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(path, 0o755))
		options = strings.Replace(options, "="+name, "="+path, 1)
	}
	inUserSpace(t, target, "fuse-overlayfs", "-o", options)
}

// inUserSpace mounts what the program serves, for the time of the test.
func inUserSpace(t testing.TB, target, name string, arguments ...string) {
	t.Helper()
	needRoot(t)
	program, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("skipped, because %s is not installed", name)
	}
	guard := newGuard(t, target)
	t.Cleanup(guard.dismiss)
	if output, err := exec.Command(program, append(arguments, target)...).CombinedOutput(); err != nil {
		t.Skipf("skipped, because %s does not work here: %v: %s", name, err, output)
	}
	t.Cleanup(func() { unmount(t, target) })
}

// Bind makes the directory from appear at the existing directory to as well.
func Bind(t testing.TB, from, to string) {
	t.Helper()
	mount(t, from, to, "", unix.MS_BIND, "")
}

// ReadOnly makes what is below dir read-only for every process that reaches it by path.
// Descriptors opened before still lead to the writable mount.
func ReadOnly(t testing.TB, dir string) {
	t.Helper()
	Bind(t, dir, dir)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Fatalf("make %s read-only: %v", dir, err)
	}
}

// needRoot skips the test if this user cannot mount.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped, because mounting needs root")
	}
}

// mount mounts for the time of the test.
func mount(t testing.TB, source, target, fstype string, flags uintptr, data string) {
	t.Helper()
	mountIn(t, "", source, target, fstype, flags, data)
}

// mountIn is mount by a thread whose working directory is dir, if there is one.
func mountIn(t testing.TB, dir, source, target, fstype string, flags uintptr, data string) {
	t.Helper()
	needRoot(t)
	guard := newGuard(t, target)
	do := func() error { return unix.Mount(source, target, fstype, flags, data) }
	if dir != "" {
		mount := do
		do = func() error {
			return kernel.OnThread(func() error {
				if err := unix.Unshare(unix.CLONE_FS); err != nil {
					return err
				}
				if err := unix.Chdir(dir); err != nil {
					return err
				}
				return mount()
			})
		}
	}
	switch err := do(); {
	case errors.Is(err, unix.EPERM):
		guard.dismiss()
		t.Skip("skipped, because mounting is not permitted here")
	case errors.Is(err, unix.ENODEV):
		guard.dismiss()
		t.Skipf("skipped, because this kernel has no %s", fstype)
	case errors.Is(err, unix.EINVAL) && fstype == "overlay":
		guard.dismiss()
		t.Skip("skipped, because no overlay can be mounted on the file system of the temporary directory")
	case err != nil:
		guard.dismiss()
		t.Fatalf("mount %s at %s: %v", fstype, target, err)
	}
	t.Cleanup(func() {
		unmount(t, target)
		guard.dismiss()
	})
}

// unmountPatience is how long a mount may be busy before it is detached while
// still in use: a process that is just being started or killed may hold it.
const unmountPatience = 2 * time.Second

// unmount unmounts target, in the last resort lazily.
func unmount(t testing.TB, target string) {
	t.Helper()
	deadline := time.Now().Add(unmountPatience)
	err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
	for errors.Is(err, unix.EBUSY) && time.Now().Before(deadline) {
		time.Sleep(unmountPatience / 200) // nothing tells when a mount stops being busy
		err = unix.Unmount(target, unix.UMOUNT_NOFOLLOW)
	}
	if err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // the test, or what it tests, has unmounted it
		return
	}
	t.Logf("%s is still in use at the end of the test: %v", target, err)
	if err := unix.Unmount(target, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH); err != nil {
		t.Errorf("unmount %s: %v", target, err)
	}
}

// A guard is a process that unmounts one mount if the test process dies.
type guard struct {
	process *exec.Cmd
	alive   *os.File // closed by the kernel when the test process ends, however it ends
}

// newGuard starts the guard of target, before there is something to guard.
func newGuard(t testing.TB, target string) *guard {
	t.Helper()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	defer read.Close()
	sh := exec.Command("/bin/sh", "-c", `read -r _; exec umount -l -- "$1"`, "guard", target)
	sh.Stdin = read
	sh.Dir = "/"
	sh.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // outlives an interrupt of the whole group
	if err := sh.Start(); err != nil {
		t.Fatalf("start the guard of a mount: %v", err)
	}
	return &guard{sh, write}
}

// dismiss ends the guard; nothing is mounted any more.
func (g *guard) dismiss() {
	g.process.Process.Kill()
	g.process.Wait()
	g.alive.Close()
}

// MountsBelow lists what this process sees mounted at dir and below, in the order
// of mounting.
func MountsBelow(t testing.TB, dir string) (found []string) {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(string(table)) {
		at := unescape.Replace(strings.Fields(line)[4])
		if at == dir || strings.HasPrefix(at, dir+"/") {
			found = append(found, at)
		}
	}
	return found
}

// DetachBelow detaches what is mounted at dir and below when the test ends: for
// mounts that what is tested may have moved.
func DetachBelow(t testing.TB, dir string) {
	t.Helper()
	t.Cleanup(func() {
		for _, at := range slices.Backward(MountsBelow(t, dir)) {
			unix.Unmount(at, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
	})
}
