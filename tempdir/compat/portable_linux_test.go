package compat_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
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
	open := filepath.Join(addition.Path, "open")
	merged := filepath.Join(open, "merged")
	require.NoError(t, os.MkdirAll(merged, 0o700))
	require.NoError(t, os.Chmod(open, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(addition.Path, "file"), nil, 0o600))
	testfs.MountAt(t, "tmpfs", merged, "tmpfs", "size=1m")
	require.NoError(t, os.Chmod(addition.Path, 0o500))
	precious := filepath.Join(merged, "precious")
	require.NoError(t, os.WriteFile(precious, nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(merged, "empty"), 0o700))

	err = td.Cleanup()
	require.ErrorIs(t, err, tempdir.ErrMountPoint)
	require.ErrorIs(t, err, tempdir.ErrLeftover)
	require.FileExists(t, precious)
	require.DirExists(t, filepath.Join(merged, "empty"))
	require.NoFileExists(t, filepath.Join(addition.Path, "file"), "the rest went")
	info, err := os.Stat(addition.Path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), info.Mode().Perm(), "for its owner alone")
	info, err = os.Stat(open)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o755), info.Mode().Perm(), "which was in nobody's way")
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
		dir := t.TempDir()
		lock, err := compat.TryLockPath(filepath.Join(dir, "staging.lock"))
		require.NoError(t, err)
		require.NoError(t, os.Chmod(dir, 0o500))
		require.ErrorIs(t, lock.UnlockAndDelete(), fs.ErrPermission)
		require.NoError(t, os.Chmod(dir, 0o700))
	})
}

// TestPortableDirectoryThatIsReplaced: what has the name of a directory when that is
// opened is not what was looked at.
func TestPortableDirectoryThatIsReplaced(t *testing.T) {
	portably(t)
	t.Run("by a directory", func(t *testing.T) { replaced(t, true) })
	t.Run("by a file", func(t *testing.T) { replaced(t, false) })
}

func replaced(t *testing.T, directory bool) {
	root, elsewhere := t.TempDir(), t.TempDir()
	td, err := compat.NewTempDir(root)
	require.NoError(t, err)
	addition, err := td.StageAddition()
	require.NoError(t, err)
	victim, other := filepath.Join(addition.Path, "victim"), filepath.Join(elsewhere, "other")
	for _, path := range []string{victim, other} {
		require.NoError(t, os.MkdirAll(path, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o600))
	}
	stays := filepath.Join(victim, "file")
	if !directory {
		other, stays = filepath.Join(other, "file"), victim
	}
	replace := sync.OnceFunc(func() {
		check(os.Rename(victim, filepath.Join(elsewhere, "victim")))
		check(os.Rename(other, victim))
	})
	restore := compat.SwapClearFlags(func(_ *os.Root, name string, _ fs.FileInfo) bool {
		if name == "victim" {
			replace()
		}
		return false
	})
	err = td.Cleanup()
	restore()
	require.ErrorIs(t, err, tempdir.ErrLeftover)
	require.Equal(t, directory, errors.Is(err, tempdir.ErrForeign))
	require.FileExists(t, stays)
	require.NoError(t, compat.RecoverStaleDirs(root))
}

// TestPortableFlags: what a flag keeps is removed once that is cleared, and is no failure.
func TestPortableFlags(t *testing.T) {
	portably(t)
	root := t.TempDir()
	td, err := compat.NewTempDir(root)
	require.NoError(t, err)
	addition, err := td.StageAddition()
	require.NoError(t, err)
	kept := filepath.Join(addition.Path, "kept")
	require.NoError(t, os.Mkdir(addition.Path, 0o700))
	require.NoError(t, os.WriteFile(kept, nil, 0o600))
	testfs.SetFlags(t, kept, testfs.Immutable)
	t.Cleanup(compat.SwapClearFlags(func(_ *os.Root, name string, _ fs.FileInfo) bool {
		if name == "kept" {
			testfs.SetFlags(t, kept, 0)
		}
		return name == "kept"
	}))
	require.NoError(t, td.Cleanup())
	left, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestPortableSyncsBeforeItRemoves: the renames into an instance are durable before
// anything of it is unlinked.
func TestPortableSyncsBeforeItRemoves(t *testing.T) {
	t.Setenv(portableVariable, "1")
	calls := testfs.Strace(t, proc.New("removal", t.TempDir()).Cmd, "-y", "-e", "trace=fsync,unlinkat")
	first := regexp.MustCompile(`(\w+)\(\d+<[^>]*/temp-dir-[0-9a-f]{32}>`).FindStringSubmatch(calls)
	require.Len(t, first, 2, calls)
	require.Equal(t, "fsync", first[1], calls)
	require.Contains(t, calls, "unlinkat(")
}

// TestPortableReasonsAreBounded: 16 of the reasons why something stays are told, and
// how many there are.
func TestPortableReasonsAreBounded(t *testing.T) {
	portably(t)
	const most = 16
	for n := most - 1; n <= most+1; n++ {
		root := t.TempDir()
		td, err := compat.NewTempDir(root)
		require.NoError(t, err)
		addition, err := td.StageAddition()
		require.NoError(t, err)
		for i := range n {
			mounted := filepath.Join(addition.Path, fmt.Sprint(i))
			require.NoError(t, os.MkdirAll(mounted, 0o700))
			testfs.MountAt(t, "tmpfs", mounted, "tmpfs", "size=1m")
		}
		var left *tempdir.LeftoverError
		require.ErrorAs(t, td.Cleanup(), &left)
		require.Equal(t, n, left.Failed)
		require.Len(t, left.Reasons, min(n, most))
	}
}
