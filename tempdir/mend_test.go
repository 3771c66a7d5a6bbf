//go:build linux

package tempdir_test

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A flag on the victim, on what is in it, or on its parent is told as one by every
// operation, and cleared by every operation if the caller asked for it; the
// parent's is there again afterwards (FIELD 22).
func TestFlagsInTheWayOfEveryOperation(t *testing.T) {
	for _, flag := range []int{testfs.Immutable, testfs.AppendOnly} {
		for _, where := range []string{".", "victim", "victim/usr", "victim/readme"} {
			if flag == testfs.AppendOnly && where == "victim/readme" {
				continue // not every file system has that for files
			}
			for _, op := range []string{"stage", "remove"} {
				t.Run(fmt.Sprintf("%#x %s %s", flag, where, op), func(t *testing.T) {
					root := openRoot(t)
					parent := beside(root, "parent")
					victim := makeLayer(t, filepath.Join(parent, "victim"))
					want := flag
					if where == "." { // it is kept, with all its flags
						want |= testfs.NoDump
					}
					testfs.SetFlags(t, filepath.Join(parent, where), want)
					do := func(options ...tempdir.Option) error {
						if op == "remove" {
							return tempdir.Remove(background, victim, options...)
						}
						dir, err := openAt(t, root.Path(), options...).Create()
						require.NoError(t, err)
						err = dir.StageDeletion(victim)
						return errors.Join(err, dir.Close(background))
					}
					// What is deep in a victim does not keep it from being moved.
					if staged := op == "stage" && filepath.Dir(where) == "victim"; !staged {
						err := do()
						require.ErrorIs(t, err, tempdir.ErrImmutable)
						require.ErrorIs(t, err, unix.EPERM)
						require.DirExists(t, victim)
					}
					require.Equal(t, want, testfs.Flags(t, filepath.Join(parent, where)), "a diagnosis changes nothing")
					require.NoError(t, do(tempdir.ClearFlags()))
					require.NoFileExists(t, victim)
					if where == "." {
						require.Equal(t, want, testfs.Flags(t, parent))
					}
					require.Empty(t, rootNames(t, root))
				})
			}
		}
	}
}

// A stale instance's own names can have flags too.
func TestFlagsOfAStaleInstance(t *testing.T) {
	for _, name := range []string{"lock-" + staleID, "temp-dir-" + staleID} {
		root := openRoot(t)
		lock := filepath.Join(root.Path(), "lock-"+staleID)
		require.NoError(t, os.WriteFile(lock, nil, 0o600))
		makeLayer(t, filepath.Join(root.Path(), "temp-dir-"+staleID, "0-layer"))
		testfs.SetFlags(t, filepath.Join(root.Path(), name), testfs.Immutable)
		_, err := root.Recover(background)
		require.ErrorIs(t, err, tempdir.ErrImmutable, name)
		report, err := openAt(t, root.Path(), tempdir.ClearFlags()).Recover(background)
		require.NoError(t, err, name)
		require.Equal(t, 1, report.Count(tempdir.Recovered))
		require.Empty(t, rootNames(t, root))
	}
}

// What was changed for a staging that then fails is changed back.
func TestWhatWasMendedIsChangedBack(t *testing.T) {
	root := openRoot(t, tempdir.ClearFlags())
	dir, err := root.Create()
	require.NoError(t, err)
	victim := makeLayer(t, filepath.Join(testfs.Elsewhere(t), "victim"))
	t.Run("flags", func(t *testing.T) {
		k := newTap()
		blocked, err := openAt(t, root.Path(), tempdir.ClearFlags(), kernel.With[tempdir.Option](k)).Create()
		require.NoError(t, err)
		frozen := makeLayer(t, beside(root, "frozen"))
		testfs.SetFlags(t, frozen, testfs.Immutable)
		k.set(refuseAgain("StageDeletion"))
		require.ErrorIs(t, blocked.StageDeletion(frozen), unix.EIO)
		require.Equal(t, testfs.Immutable, testfs.Flags(t, frozen))
		require.NoError(t, blocked.Close(background))
		require.Empty(t, k.open)
	})
	require.ErrorIs(t, dir.StageDeletion(victim), tempdir.ErrCrossDevice)
	require.NoError(t, dir.Close(background))
}

// So is a mode, for an ordinary user.
func TestModeThatWasMendedIsChangedBack(t *testing.T) {
	testfs.Without(t, testfs.Lack{User: 1234}, func(t *testing.T) {
		k := newTap()
		root := openRoot(t, kernel.With[tempdir.Option](k))
		dir, err := root.Create()
		require.NoError(t, err)
		victim := makeLayer(t, beside(root, "victim"))
		require.NoError(t, os.Chmod(victim, 0o577)) // its owner alone may not write it
		k.set(refuseAgain("StageDeletion"))
		require.ErrorIs(t, dir.StageDeletion(victim), unix.EIO)
		requireMode(t, victim, 0o577)
		moves, changes := refuseAgain("StageDeletion"), refuseAgain("ChangeMode")
		both := func(method, name string) error { return cmp.Or(moves(method, name), changes(method, name)) }
		k.set(both)
		err = dir.StageDeletion(victim)
		require.ErrorContains(t, err, "its mode, changed for this, cannot be changed back")
		require.NoError(t, os.Chmod(victim, 0o577))
		k.set(nil)
		parent := filepath.Dir(victim)
		require.NoError(t, os.Chmod(parent, 0o555)) // the parent is not ours to change
		err = dir.StageDeletion(victim)
		require.NoError(t, os.Chmod(parent, 0o755))
		require.ErrorIs(t, err, fs.ErrPermission)
		requireMode(t, victim, 0o577)
		require.NoError(t, os.Chmod(victim, 0o500))
		k.take()
		require.NoError(t, dir.StageDeletion(victim))
		calls := k.take()
		require.NotContains(t, calls[strings.LastIndex(calls, "StageDeletion"):], "ChangeMode", "another may have the name by now")

		addition, err := dir.StageAddition()
		require.NoError(t, err)
		makeLayer(t, addition.Path())
		require.NoError(t, os.Chmod(addition.Path(), 0o177)) // nor read
		missing := beside(root, "no/where")
		require.ErrorIs(t, addition.Commit(missing), fs.ErrNotExist)
		requireMode(t, addition.Path(), 0o177)
		k.set(refuse("OpenDirectory", unix.EIO))
		require.ErrorIs(t, addition.Commit(beside(root, "layer")), fs.ErrPermission)
		requireMode(t, addition.Path(), 0o177)
		k.set(nil)
		destination := beside(root, "layer")
		require.NoError(t, addition.Commit(destination))
		requireMode(t, destination, 0o177)
		require.NoError(t, os.Chmod(destination, 0o755))
		requireLayer(t, destination)

		unrestored, err := dir.StageAddition()
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(unrestored.Path(), 0o555))
		k.set(refuseAgain("ChangeMode"))
		require.ErrorIs(t, unrestored.Commit(beside(root, "unrestored")), tempdir.ErrUnrestored)
		require.DirExists(t, beside(root, "unrestored"))
		require.ErrorIs(t, unrestored.Commit(beside(root, "again")), tempdir.ErrCommitted)

		unmoved, err := dir.StageAddition()
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(unmoved.Path(), 0o555))
		commits := refuseAgain("Commit")
		changes = refuseAgain("ChangeMode")
		k.set(func(method, name string) error {
			if err := commits(method, name); err != nil {
				return err
			}
			return changes(method, name)
		})
		err = unmoved.Commit(beside(root, "unmoved"))
		require.ErrorIs(t, err, unix.EIO)
		require.ErrorContains(t, err, "has another mode now", "not even a failure is silent about that")
		k.set(nil)
		require.NoError(t, dir.Close(background))
		require.Empty(t, rootNames(t, root))
		require.Empty(t, k.open)
	})
}

func requireMode(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, mode, info.Mode().Perm())
}

// An empty directory of another user can be removed by whoever may write its
// parent, although it cannot be opened, moved or mended.
func TestEmptyDirectoryOfAnotherUser(t *testing.T) {
	if base := os.Getenv("AFTERLOCK_TEST_TREE"); base != "" {
		t.Run("as its owner", func(t *testing.T) {
			testfs.Without(t, testfs.Lack{User: 1234}, func(t *testing.T) {
				require.NoError(t, tempdir.Remove(background, filepath.Join(base, "tree")))
				require.NoError(t, tempdir.Remove(background, filepath.Join(base, "top")))
			})
		})
		return
	}
	needsRoot(t, "a second user")
	base := t.TempDir()
	testfs.Reachable(t, base)
	tree := filepath.Join(base, "tree")
	require.NoError(t, os.MkdirAll(filepath.Join(tree, "of root"), 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(base, "top"), 0))
	require.NoError(t, os.Chown(tree, 1234, 1234))
	require.NoError(t, os.Chmod(filepath.Join(tree, "of root"), 0))
	require.NoError(t, os.Chown(base, 1234, 1234))
	t.Setenv("AFTERLOCK_TEST_TREE", base)
	TestEmptyDirectoryOfAnotherUser(t)
	require.NoFileExists(t, tree)
	require.NoFileExists(t, filepath.Join(base, "top"))
}

// One thing in the way after another: a mount on a file that is immutable, in a
// directory that is.
func TestOneReasonAfterAnother(t *testing.T) {
	needsRoot(t, "a flag")
	root := openRoot(t, tempdir.ClearFlags(), tempdir.DetachMounts())
	dir, entry := stageNew(t, root, func(path string) { makeLayer(t, path) })
	file := filepath.Join(entry, "readme")
	testfs.SetFlags(t, file, testfs.Immutable)
	testfs.SetFlags(t, entry, testfs.Immutable)
	over := filepath.Join(t.TempDir(), "over")
	require.NoError(t, os.WriteFile(over, []byte("outside"), 0o600))
	require.NoError(t, unix.Mount(over, file, "", unix.MS_BIND, ""))
	t.Cleanup(func() { unix.Unmount(file, unix.MNT_DETACH) })
	require.NoError(t, dir.Close(background))
	require.Empty(t, rootNames(t, root))
	require.FileExists(t, over)
}

// To look for flags, nothing but files and directories is opened: a device could
// do something.
func TestFlagsOfDevicesAreNotLookedFor(t *testing.T) {
	testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{"statx": unix.ENOSYS}}, func(t *testing.T) {
		k, looked := newTap(), []string(nil)
		k.set(func(method, name string) error {
			if method == "ClearFlags" {
				looked = append(looked, name)
			}
			if method == "StageDeletion" || method == "RemoveEntry" {
				return unix.EPERM
			}
			return nil
		})
		root := openRoot(t, kernel.With[tempdir.Option](k), tempdir.ClearFlags())
		for _, name := range []string{"fifo", "link"} {
			path := beside(root, name)
			if name == "fifo" {
				require.NoError(t, unix.Mkfifo(path, 0o600))
			} else {
				require.NoError(t, os.Symlink("/dev/null", path))
			}
			dir, err := root.Create()
			require.NoError(t, err)
			require.ErrorIs(t, dir.StageDeletion(path), unix.EPERM)
			require.NoError(t, dir.Close(background))
			require.ErrorIs(t, tempdir.Remove(background, path, kernel.With[tempdir.Option](k), tempdir.ClearFlags()), unix.EPERM)
			require.NotContains(t, looked, name)
		}
	})
}

// refuseAgain lets the method be called once, and fail from then on.
func refuseAgain(refused string) func(method, name string) error {
	calls := 0
	return func(method, _ string) error {
		if method == refused {
			if calls++; calls > 1 {
				return unix.EIO
			}
		}
		return nil
	}
}
