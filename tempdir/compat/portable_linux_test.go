package compat_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestPortably runs the tests of this package again, with the code for other
// systems in the place of package tempdir.
func TestPortably(t *testing.T) {
	if os.Getenv(portableVariable) != "" {
		t.Skip("skipped, because this is that run")
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, "-test.v", "-test.skip=^TestPortabl")
	cmd.Env = append(os.Environ(), portableVariable+"=1")
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.Greater(t, strings.Count(string(output), "\n--- PASS: "), 20, "%s", output)
}

// TestPortableBesideLinux has both implementations in one root, as processes.
func TestPortableBesideLinux(t *testing.T) {
	root := t.TempDir()
	native := child(t, "instance", root)
	restore := compat.ForcePortable()
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Len(t, names(t, root), 2)
	restore()

	t.Setenv(portableVariable, "1")
	portable := child(t, "instance", root)
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Len(t, names(t, root), 4)
	portable()
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Len(t, names(t, root), 2)
	native()
	portably(t)
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Empty(t, names(t, root))
}

// TestPortableStaysOnTheFileSystem: what is mounted in an instance stays, and
// is reported; on the systems that this is for, every mount has a device.
func TestPortableStaysOnTheFileSystem(t *testing.T) {
	portably(t)
	root := t.TempDir()
	td, err := compat.NewTempDir(root)
	require.NoError(t, err)
	addition, err := td.StageAddition()
	require.NoError(t, err)
	merged := filepath.Join(addition.Path, "merged")
	require.NoError(t, os.MkdirAll(merged, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(addition.Path, "file"), nil, 0o600))
	testfs.MountAt(t, "tmpfs", merged, "tmpfs", "size=1m")
	precious := filepath.Join(merged, "precious")
	require.NoError(t, os.WriteFile(precious, nil, 0o600))

	err = td.Cleanup()
	require.ErrorIs(t, err, tempdir.ErrMountPoint)
	require.ErrorIs(t, err, tempdir.ErrLeftover)
	require.FileExists(t, precious)
	require.NoFileExists(t, filepath.Join(addition.Path, "file"), "the rest went")
	require.NoError(t, compat.RecoverStaleDirs(root), "the store loads")
	require.FileExists(t, precious)
	require.NoError(t, unix.Unmount(merged, 0))
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Empty(t, names(t, root))
}

// TestPortableAsOrdinaryUser: directories that their owner may not write go.
func TestPortableAsOrdinaryUser(t *testing.T) {
	testfs.Without(t, testfs.Lack{User: 65534}, func(t *testing.T) {
		portably(t)
		deletionAndAddition(t)
	})
}
