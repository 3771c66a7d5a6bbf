package compat_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// canaries makes a tree behind a mount, and returns a check that it is as it was.
func canaries(t *testing.T) (dir string, intact func()) {
	notPortably(t) // which tells mounts by their device, and detaches none
	dir = t.TempDir()
	for _, name := range []string{"precious", "sub/precious", "sub/sub/precious"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(name), 0o640))
	}
	before := testfs.Snapshot(t, dir)
	return dir, func() {
		t.Helper()
		require.Equal(t, before, testfs.Snapshot(t, dir), "what was behind a mount has changed")
	}
}

// mounted counts the mounts that this process sees at or below path.
func mounted(t *testing.T, path string) int { return len(testfs.MountsBelow(t, path)) }

// rootWithMounts is a root of which nothing stays mounted after the test, also
// if a removal that failed has moved a mount to another path.
func rootWithMounts(t *testing.T) string {
	root := t.TempDir()
	testfs.DetachBelow(t, root)
	return root
}

// A leftover makes mounts below layer, a directory of an instance, of which
// outside is what they show.
type leftover func(t *testing.T, layer, outside string)

func directory(t *testing.T, parts ...string) string {
	path := filepath.Join(parts...)
	require.NoError(t, os.MkdirAll(path, 0o700))
	return path
}

func emptyFile(t *testing.T, parts ...string) string {
	path := filepath.Join(parts...)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	return path
}

var leftovers = map[string]leftover{
	"bind mount": func(t *testing.T, layer, outside string) {
		testfs.Bind(t, outside, directory(t, layer, "merged"))
	},
	"on a file": func(t *testing.T, layer, outside string) {
		testfs.Bind(t, filepath.Join(outside, "precious"), emptyFile(t, layer, "resolv.conf"))
	},
	"on the layer": func(t *testing.T, layer, outside string) {
		testfs.Bind(t, outside, layer)
	},
	"on the data directory": func(t *testing.T, layer, outside string) {
		testfs.Bind(t, outside, filepath.Dir(layer))
	},
	"stacked": func(t *testing.T, layer, outside string) {
		merged := directory(t, layer, "merged")
		for range 3 {
			testfs.Bind(t, outside, merged)
		}
	},
	"mount below a mount": func(t *testing.T, layer, outside string) {
		merged := directory(t, layer, "merged")
		testfs.Bind(t, outside, merged)
		testfs.Bind(t, outside, filepath.Join(merged, "sub"))
		testfs.Bind(t, filepath.Join(outside, "precious"), filepath.Join(merged, "sub", "sub", "precious"))
	},
	"several": func(t *testing.T, layer, outside string) {
		for i := range 5 {
			testfs.Bind(t, outside, directory(t, layer, "a", fmt.Sprint(i), "merged"))
			testfs.Bind(t, filepath.Join(outside, "precious"), emptyFile(t, layer, "a", fmt.Sprint(i), "file"))
		}
	},
	"deep": func(t *testing.T, layer, outside string) {
		testfs.Bind(t, outside, directory(t, layer, strings.Repeat("d/", 80), "merged"))
	},
	"in a directory of mode 0": func(t *testing.T, layer, outside string) {
		testfs.Bind(t, outside, directory(t, layer, "closed", "merged"))
		require.NoError(t, os.Chmod(filepath.Join(layer, "closed"), 0))
	},
	"of mode 0": func(t *testing.T, layer, outside string) {
		merged := directory(t, layer, "merged")
		require.NoError(t, os.Chmod(merged, 0))
		testfs.Bind(t, outside, merged)
	},
	"read-only": func(t *testing.T, layer, outside string) {
		merged := directory(t, layer, "merged")
		testfs.Bind(t, outside, merged)
		require.NoError(t, unix.Mount("", merged, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""))
	},
	"shared": func(t *testing.T, layer, outside string) {
		merged := directory(t, layer, "merged")
		testfs.Bind(t, outside, merged)
		require.NoError(t, unix.Mount("", merged, "", unix.MS_SHARED, ""))
		testfs.Bind(t, outside, filepath.Join(merged, "sub")) // appears in no other place
	},
	"overlay": func(t *testing.T, layer, outside string) {
		upper, work := directory(t, layer, "diff"), directory(t, layer, "work")
		emptyFile(t, upper, "new")
		testfs.OverlayIn(t, "", directory(t, layer, "merged"), "lowerdir="+outside+",upperdir="+upper+",workdir="+work)
	},
	"link to a mount": func(t *testing.T, layer, outside string) {
		// A link is removed, and what it leads to stays mounted.
		elsewhere := t.TempDir()
		testfs.Bind(t, outside, elsewhere)
		require.NoError(t, os.Symlink(elsewhere, filepath.Join(layer, "merged")))
		t.Cleanup(func() { require.Equal(t, 1, mounted(t, elsewhere)) })
	},
}

// TestLeftoverMountsAreDetached: what upstream ships on purpose, that a mount
// which is left in an instance does not keep it for ever; and the mounts are
// never entered.
func TestLeftoverMountsAreDetached(t *testing.T) {
	for name, leave := range leftovers {
		t.Run(name, func(t *testing.T) {
			for _, who := range []string{"cleanup", "recovery"} {
				root := rootWithMounts(t)
				outside, intact := canaries(t)
				before := mounted(t, root)
				var data string
				var finish func() error
				if who == "cleanup" {
					td, _, path := newTempDir(t, root)
					data, finish = path, td.Cleanup
				} else {
					instance(t, root, decimal, true, true)
					data = filepath.Join(root, "temp-dir-"+decimal)
					finish = func() error { return compat.RecoverStaleDirs(root) }
				}
				leave(t, directory(t, data, "1-layer"), outside)
				require.NoError(t, finish(), who)
				require.Empty(t, names(t, root), who)
				require.Equal(t, before, mounted(t, root), who)
				intact()
			}
		})
	}
}

// TestLeftoverMountsWithoutCalls: old kernels and sandboxes lack what tells a
// mount best.
func TestLeftoverMountsWithoutCalls(t *testing.T) {
	for name, lack := range map[string]testfs.Lack{
		"no openat2":          {Calls: map[string]syscall.Errno{"openat2": unix.ENOSYS}},
		"openat2 denied":      {Calls: map[string]syscall.Errno{"openat2": unix.EPERM}},
		"no openat2 or statx": {Calls: map[string]syscall.Errno{"openat2": unix.ENOSYS, "statx": unix.ENOSYS}},
		"no /proc":            {Proc: true},
		"no openat2 or /proc": {Proc: true, Calls: map[string]syscall.Errno{"openat2": unix.ENOSYS}},
	} {
		t.Run(name, func(t *testing.T) {
			root := rootWithMounts(t)
			var checks []func()
			id := 1
			for _, leave := range leftovers {
				outside, intact := canaries(t)
				checks = append(checks, intact)
				instance(t, root, fmt.Sprint(id), true, true)
				leave(t, directory(t, root, "temp-dir-"+fmt.Sprint(id), "1-layer"), outside)
				id++
			}
			recovery := proc.New("recovery", root)
			lack.Command(t, recovery.Cmd)
			run(t, recovery)
			for _, intact := range checks {
				intact()
			}
			require.Empty(t, names(t, root))
		})
	}
}

func init() {
	role("recovery", func(root string) { check(compat.RecoverStaleDirs(root)) })
}

// TestDetachedMountStaysUsable: a process that works in the mount goes on.
func TestDetachedMountStaysUsable(t *testing.T) {
	root := rootWithMounts(t)
	outside, intact := canaries(t)
	td, _, data := newTempDir(t, root)
	merged := directory(t, data, "1-layer", "merged")
	testfs.Bind(t, outside, merged)
	busy := exec.Command("/bin/sh", "-c", "echo; read -r line; cat precious")
	busy.Dir = merged
	stdin, err := busy.StdinPipe()
	require.NoError(t, err)
	stdout, err := busy.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, busy.Start())
	defer busy.Process.Kill()
	buffer := make([]byte, 64)
	_, err = stdout.Read(buffer) // it is there
	require.NoError(t, err)
	require.ErrorIs(t, unix.Unmount(merged, 0), unix.EBUSY)

	require.NoError(t, td.Cleanup())
	require.Empty(t, names(t, root))
	_, err = stdin.Write([]byte("\n"))
	require.NoError(t, err)
	n, err := stdout.Read(buffer)
	require.NoError(t, err)
	require.Equal(t, "precious", string(buffer[:n]))
	intact()
}

// TestMountsOfLiveInstancesStay: the names of two instances begin alike, and
// only one of them is stale.
func TestMountsOfLiveInstancesStay(t *testing.T) {
	root := rootWithMounts(t)
	outside, intact := canaries(t)
	kill := child(t, "posix", filepath.Join(root, "lock-12"))
	for _, id := range []string{"1", "12"} {
		instance(t, root, id, true, true)
		testfs.Bind(t, outside, directory(t, root, "temp-dir-"+id, "1-layer", "merged"))
	}
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Equal(t, []string{"lock-12", "temp-dir-12"}, names(t, root))
	require.Equal(t, 1, mounted(t, root))
	kill()
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Empty(t, names(t, root))
	intact()
}

// TestMountOfAnotherNamespace: it cannot be seen from here; the kernel detaches
// it there when the directory goes, and what is behind it stays.
func TestMountOfAnotherNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped, because only root may mount")
	}
	root := rootWithMounts(t)
	outside, intact := canaries(t)
	td, _, data := newTempDir(t, root)
	merged := directory(t, data, "1-layer", "merged")
	file := emptyFile(t, data, "1-layer", "file")
	other := exec.Command("/bin/sh", "-c", `mount --bind "$1" "$2" && mount --bind "$1/precious" "$3" && echo && read -r line`, "sh", outside, merged, file)
	other.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	_, err := other.StdinPipe()
	require.NoError(t, err)
	stdout, err := other.StdoutPipe()
	require.NoError(t, err)
	if err := other.Start(); err != nil {
		t.Skipf("skipped, because there is no other mount namespace: %v", err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Skipf("skipped, because nothing can be mounted there: %v", err)
	}
	require.NoError(t, td.Cleanup())
	require.Empty(t, names(t, root))
	intact()
}

// TestMountOverTheLockFile: nobody can be known to hold what is below it, so
// nothing is detached.
func TestMountOverTheLockFile(t *testing.T) {
	root := rootWithMounts(t)
	outside, intact := canaries(t)
	instance(t, root, decimal, true, true)
	lockFile := filepath.Join(root, "lock-"+decimal)
	testfs.Bind(t, filepath.Join(outside, "precious"), lockFile)
	testfs.Bind(t, outside, directory(t, root, "temp-dir-"+decimal, "1-layer", "merged"))
	_, err := compat.RecoverStaleDirsReport(root)
	require.ErrorIs(t, err, tempdir.ErrMountPoint)
	require.Equal(t, 2, mounted(t, root))
	require.NoError(t, unix.Unmount(lockFile, 0))
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Empty(t, names(t, root))
	intact()
}

// TestMountThatMayNotBeDetached: without CAP_SYS_ADMIN it is reported and not
// entered, the rest goes, and the store loads.
func TestMountThatMayNotBeDetached(t *testing.T) {
	root := rootWithMounts(t)
	outside, intact := canaries(t)
	instance(t, root, decimal, true, true)
	data := filepath.Join(root, "temp-dir-"+decimal)
	testfs.Bind(t, outside, directory(t, data, "1-layer", "merged"))
	hook(t, before(kernel.Detach, func() error { return unix.EPERM }))
	_, err := compat.RecoverStaleDirsReport(root)
	require.ErrorIs(t, err, tempdir.ErrMountPoint)
	require.Equal(t, []string{"merged"}, names(t, filepath.Join(data, "1-layer")))
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.NoFileExists(t, filepath.Join(data, "0-x-"+decimal))
	require.Equal(t, 1, mounted(t, root))
	intact()
}
