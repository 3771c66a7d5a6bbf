//go:build linux

package tempdir_test

import (
	"context"
	"fmt"
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

// A leftover makes mounts below layer, a directory with a parent that is removed too, of
// which outside is what they show.
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
	"another file system": func(t *testing.T, layer, _ string) {
		testfs.MountAt(t, "none", directory(t, layer, "merged"), "tmpfs", "")
		emptyFile(t, layer, "merged", "busy")
	},
	"on a file": func(t *testing.T, layer, outside string) {
		testfs.Bind(t, filepath.Join(outside, "readme"), emptyFile(t, layer, "resolv.conf"))
	},
	"on the layer": func(t *testing.T, layer, outside string) {
		testfs.Bind(t, outside, layer)
	},
	"on what holds the layer": func(t *testing.T, layer, outside string) {
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
		testfs.Bind(t, outside, filepath.Join(merged, "usr"))
		testfs.Bind(t, filepath.Join(outside, "readme"), filepath.Join(merged, "usr", "etc", "passwd"))
	},
	"several": func(t *testing.T, layer, outside string) {
		for i := range 5 {
			testfs.Bind(t, outside, directory(t, layer, "a", fmt.Sprint(i), "merged"))
			testfs.Bind(t, filepath.Join(outside, "readme"), emptyFile(t, layer, "a", fmt.Sprint(i), "file"))
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
		testfs.Bind(t, outside, filepath.Join(merged, "usr")) // appears in no other place
	},
	"overlay": func(t *testing.T, layer, outside string) {
		upper, work := directory(t, layer, "diff"), directory(t, layer, "work")
		emptyFile(t, upper, "new")
		testfs.OverlayIn(t, "", directory(t, layer, "merged"), "lowerdir="+outside+",upperdir="+upper+",workdir="+work)
	},
}

// Mounts inside an instance, or in what is removed in place, are reported, and detached
// if the caller asked for it, whatever the kernel lacks to tell a mount by; either way
// nothing behind them is touched. What a link leads to stays mounted.
func TestDetachMounts(t *testing.T) {
	if !testfs.OwnMounts(t) { // a store whose test runs meanwhile may have to take an overlay for one of its own
		return
	}
	if _, err := os.Stat("/proc/self/mountinfo"); err == nil {
		testfs.DetachBelow(t, os.TempDir()) // what a removal that failed has moved
	}
	for lacks, lack := range map[string]testfs.Lack{
		"nothing":           {},
		"openat2 denied":    {Calls: map[string]syscall.Errno{"openat2": unix.EPERM}},
		"openat2 and statx": {Calls: map[string]syscall.Errno{"openat2": unix.ENOSYS, "statx": unix.ENOSYS}},
		"openat2 and proc":  {Proc: true, Calls: map[string]syscall.Errno{"openat2": unix.ENOSYS}},
	} {
		t.Run(lacks, func(t *testing.T) {
			if testing.Short() && lacks != "nothing" {
				t.Skip("skipped, because -short: mounting takes long")
			}
			testfs.Without(t, lack, func(t *testing.T) {
				for name, leave := range leftovers {
					for _, op := range []string{"recover", "remove"} {
						t.Run(name+"/"+op, func(t *testing.T) { detaches(t, leave, op) })
					}
				}
			})
		})
	}
}

// detaches ends the operation on what has such mounts.
func detaches(t *testing.T, leave leftover, op string) {
	k := newTap()
	root := openRoot(t)
	detaching := openAt(t, root.Path(), tempdir.DetachMounts(), kernel.With[tempdir.Option](k))
	outside := makeLayer(t, t.TempDir())
	live, linked := stageNew(t, detaching, func(path string) { // mounts of a live instance stay
		require.NoError(t, os.Mkdir(path, 0o755))
		testfs.Bind(t, outside, path)
	})
	build := func(path string) {
		layer := directory(t, path, "layer")
		require.NoError(t, os.Symlink(linked, filepath.Join(layer, "link to a mount")))
		leave(t, layer, outside)
	}
	dir, victim := stageNew(t, root, func(path string) { require.NoError(t, os.Mkdir(path, 0o755)) })
	finish := func() error { _, err := detaching.Recover(background); return err }
	first := dir.Close
	if op == "remove" {
		require.NoError(t, dir.Close(background))
		victim = directory(t, beside(root, "victim"))
		first = func(ctx context.Context) error { return tempdir.Remove(ctx, victim) }
		finish = func() error {
			return tempdir.Remove(background, victim, tempdir.DetachMounts(), kernel.With[tempdir.Option](k))
		}
	}
	build(victim)
	k.set(refuse("Detach", unix.EPERM)) // without CAP_SYS_ADMIN
	for _, end := range []func() error{func() error { return first(background) }, finish} {
		err := end()
		require.ErrorIs(t, err, tempdir.ErrMountPoint)
		require.ErrorIs(t, err, tempdir.ErrLeftover)
		require.Regexp(t, filepath.Dir(victim)+"/.*: "+tempdir.ErrMountPoint.Error(), err.Error())
		requireLayer(t, outside)
	}
	k.set(nil)
	require.NoError(t, finish())
	require.NoFileExists(t, victim)
	requireLayer(t, outside)
	requireLayer(t, linked)
	require.NoError(t, live.Close(background))
	require.Empty(t, rootNames(t, root))
	requireLayer(t, outside)
}

// A mount that does not even answer is a mount all the same (FIELD 18).
func TestDeadMount(t *testing.T) {
	dead := kernel.HookFunc(func(c *kernel.Call) error {
		if filepath.Base(c.Name) == "dead" {
			switch c.Method {
			case kernel.StatName:
				return unix.ENOTCONN
			case kernel.StageDeletion, kernel.RemoveEntry, kernel.RemoveDirectory:
				return unix.EBUSY
			case kernel.OpenDirectory:
				return unix.EXDEV
			}
		}
		return nil
	})
	k := kernel.Around(kernel.Linux(), dead)
	root := openRoot(t, kernel.With[tempdir.Option](k))
	dir, err := root.Create()
	require.NoError(t, err)
	victim := beside(root, "dead")
	require.NoError(t, os.Mkdir(victim, 0o755))
	requireRefusal(t, dir.StageDeletion(victim), "stage deletion", victim, tempdir.ErrMountPoint, unix.EBUSY)
	around := beside(root, "around")
	require.NoError(t, os.MkdirAll(filepath.Join(around, "dead"), 0o755))
	require.NoError(t, dir.StageDeletion(around))
	require.ErrorIs(t, dir.Close(background), tempdir.ErrMountPoint)
	err = tempdir.Remove(background, victim, kernel.With[tempdir.Option](k))
	require.ErrorIs(t, err, tempdir.ErrMountPoint)
	require.ErrorContains(t, err, unix.ENOTCONN.Error())
	require.DirExists(t, victim)
}

// The overlay driver mounts its home, with the root in it, upon itself, and whoever
// shuts the store down takes that mount away from all that use the store.
func TestMountsThatComeAndGo(t *testing.T) {
	if !mounting(t) {
		return
	}
	home := t.TempDir()
	mountHome := func() { require.NoError(t, unix.Mount(home, home, "", unix.MS_BIND, "")) }
	unmountHome := func() { require.NoError(t, unix.Unmount(home, unix.MNT_DETACH)) }
	for name, change := range map[string]struct{ before, during func() }{
		"gone":         {mountHome, unmountHome},
		"new":          {func() {}, mountHome},
		"another":      {mountHome, func() { unmountHome(); mountHome() }},
		"on the other": {mountHome, mountHome},
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() {
				for unix.Unmount(home, unix.MNT_DETACH) == nil {
				}
			})
			change.before()
			root := openAt(t, filepath.Join(home, "root"))
			dir, entry := stageNew(t, root, func(path string) { makeLayer(t, path) })
			victim := makeLayer(t, filepath.Join(home, "victim"))
			change.during()
			require.NoError(t, dir.StageDeletion(victim))
			require.NoDirExists(t, victim)
			requireLayer(t, entry)
			addition, err := dir.StageAddition()
			require.NoError(t, err)
			makeLayer(t, addition.Path())
			require.NoError(t, addition.Commit(victim))
			requireLayer(t, victim)
			require.NoError(t, os.RemoveAll(victim))
			require.NoError(t, dir.Close(background))
			require.Empty(t, rootNames(t, root))
		})
	}

	// A mount that is there during the move alone leaves nothing to be seen.
	t.Run("come and gone", func(t *testing.T) {
		brief := &briefly{begin: mountHome, end: unmountHome}
		root := openAt(t, filepath.Join(home, "root"), kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), brief)))
		dir, err := root.Create()
		require.NoError(t, err)
		addition, err := dir.StageAddition()
		require.NoError(t, err)
		makeLayer(t, addition.Path())
		victim := makeLayer(t, filepath.Join(home, "victim"))
		brief.moves = 3
		require.NoError(t, dir.StageDeletion(victim))
		brief.moves = 3
		require.NoError(t, addition.Commit(victim))
		require.Zero(t, brief.moves)
		requireLayer(t, victim)
		require.NoError(t, os.RemoveAll(victim))
		require.NoError(t, dir.Close(background))
	})

	// What another mount shows at the root's path is not the root.
	root := openAt(t, filepath.Join(home, "root"))
	dir, err := root.Create()
	require.NoError(t, err)
	victim := makeLayer(t, filepath.Join(home, "victim"))
	other := makeLayer(t, t.TempDir())
	require.NoError(t, os.Mkdir(filepath.Join(other, "root"), 0o700))
	require.NoError(t, unix.Mount(home, home, "", unix.MS_BIND, ""))
	require.NoError(t, unix.Mount(other, root.Path(), "", unix.MS_BIND, ""))
	require.ErrorIs(t, dir.StageDeletion(victim), tempdir.ErrCrossDevice)
	requireLayer(t, victim)
	for unix.Unmount(home, unix.MNT_DETACH) == nil {
	}
	require.NoError(t, dir.Close(background))
}

// briefly does something around each of the next moves.
type briefly struct {
	begin, end func()
	moves      int
}

func (b *briefly) around(c *kernel.Call, do func()) bool {
	if b.moves == 0 || c.Method != kernel.StageDeletion && c.Method != kernel.Commit {
		return false
	}
	do()
	return true
}

func (b *briefly) Before(c *kernel.Call) error {
	b.around(c, b.begin)
	return nil
}

func (b *briefly) After(c *kernel.Call) {
	if b.around(c, b.end) {
		b.moves--
	}
}
