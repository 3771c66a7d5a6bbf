package compat_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// mountPoints makes a directory and a file in an instance, to mount outside and a file in it
// on, and returns them with a check that outside is as it was.
func mountPoints(t *testing.T, data string) (outside, merged, file string, intact func()) {
	notPortably(t) // which tells mounts by their device, and detaches none
	outside = filepath.Dir(victim(t, "precious"))
	merged, file = filepath.Join(data, "1-layer", "merged"), filepath.Join(data, "1-layer", "file")
	require.NoError(t, os.MkdirAll(merged, 0o700))
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	before := testfs.Snapshot(t, outside)
	return outside, merged, file, func() {
		t.Helper()
		require.Equal(t, before, testfs.Snapshot(t, outside), "what was behind a mount has changed")
	}
}

// TestLeftoverMountsAreDetached: what upstream ships on purpose, that a mount
// which is left in an instance does not keep it for ever; and the mounts are
// never entered.
func TestLeftoverMountsAreDetached(t *testing.T) {
	for _, who := range []string{"cleanup", "recovery"} {
		root := t.TempDir()
		testfs.DetachBelow(t, root)
		td, _, data := newTempDir(t, root)
		finish := td.Cleanup
		if who == "recovery" {
			require.NoError(t, td.Cleanup())
			instance(t, root, decimal, true, true)
			data = filepath.Join(root, "temp-dir-"+decimal)
			finish = func() error { return compat.RecoverStaleDirs(root) }
		}
		outside, merged, file, intact := mountPoints(t, data)
		testfs.Bind(t, outside, merged)
		testfs.Bind(t, filepath.Join(outside, "precious"), file)
		require.NoError(t, finish(), who)
		require.Empty(t, names(t, root), who)
		require.Empty(t, testfs.MountsBelow(t, root), who)
		intact()
	}
}

// TestMountOfAnotherNamespace: it cannot be seen from here; the kernel detaches
// it there when the directory goes, and what is behind it stays.
func TestMountOfAnotherNamespace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped, because only root may mount")
	}
	root := t.TempDir()
	td, _, data := newTempDir(t, root)
	outside, merged, file, intact := mountPoints(t, data)
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
