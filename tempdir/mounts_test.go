//go:build linux

package tempdir_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// mountAll mounts something below path in every way that matters here, and says
// what has to be there afterwards.
func mountAll(t *testing.T, path string) (kept []string) {
	outside := makeLayer(t, t.TempDir())
	mount := func(source, target, kind string, flags uintptr) {
		require.NoError(t, unix.Mount(source, target, kind, flags, ""))
		t.Cleanup(func() { unix.Unmount(target, unix.MNT_DETACH) })
	}
	for _, name := range []string{"bind", "tmpfs", "stacked", "deep/a/b/bind"} {
		require.NoError(t, os.MkdirAll(filepath.Join(path, name), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(path, "file"), nil, 0o644))
	mount(outside, filepath.Join(path, "bind"), "", unix.MS_BIND)
	mount("none", filepath.Join(path, "tmpfs"), "tmpfs", 0)
	require.NoError(t, os.WriteFile(filepath.Join(path, "tmpfs", "busy"), nil, 0o644))
	mount("none", filepath.Join(path, "stacked"), "tmpfs", 0)
	mount(outside, filepath.Join(path, "stacked"), "", unix.MS_BIND)
	mount(filepath.Join(outside, "readme"), filepath.Join(path, "file"), "", unix.MS_BIND)
	mount(outside, filepath.Join(path, "deep/a/b/bind"), "", unix.MS_BIND)
	return []string{outside}
}

// Mounts inside an instance are reported, and detached if the caller asked for it;
// either way nothing behind them is touched.
func TestDetachMounts(t *testing.T) {
	if !mounting(t) {
		return
	}
	outside := makeLayer(t, t.TempDir())
	for _, top := range []bool{false, true} {
		root := openRoot(t)
		dir, entry := stageNew(t, root, func(path string) { require.NoError(t, os.Mkdir(path, 0o755)) })
		kept := mountAll(t, entry)
		if top { // a mount at the top of an entry
			require.NoError(t, unix.Mount(outside, entry, "", unix.MS_BIND, ""))
			t.Cleanup(func() { unix.Unmount(entry, unix.MNT_DETACH) })
		}
		err := dir.Close(background)
		require.ErrorIs(t, err, tempdir.ErrMountPoint)
		if !top {
			require.ErrorContains(t, err, entry+"/tmpfs: "+tempdir.ErrMountPoint.Error())
		}
		for _, path := range append(kept, outside) {
			requireLayer(t, path)
		}
		detaching := openAt(t, root.Path(), tempdir.DetachMounts())
		live, err := detaching.Create() // mounts of a live instance stay
		require.NoError(t, err)
		addition, err := live.StageAddition()
		require.NoError(t, err)
		require.NoError(t, os.Mkdir(addition.Path(), 0o755))
		require.NoError(t, unix.Mount(outside, addition.Path(), "", unix.MS_BIND, ""))
		t.Cleanup(func() { unix.Unmount(addition.Path(), unix.MNT_DETACH) })
		report, err := detaching.Recover(background)
		require.NoError(t, err)
		require.Equal(t, 1, report.Count(tempdir.Recovered))
		requireLayer(t, addition.Path())
		require.NoError(t, live.Close(background))
		require.Empty(t, rootNames(t, root))
		for _, path := range append(kept, outside) {
			requireLayer(t, path)
		}
	}
}

// Remove detaches nothing unless it is asked to.
func TestRemoveInPlaceDetachesOnlyIfAsked(t *testing.T) {
	if !mounting(t) {
		return
	}
	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.Mkdir(victim, 0o755))
	kept := mountAll(t, victim)
	err := tempdir.Remove(background, victim)
	require.ErrorIs(t, err, tempdir.ErrMountPoint)
	require.ErrorIs(t, err, tempdir.ErrLeftover)
	requireLayer(t, kept[0])
	require.DirExists(t, filepath.Join(victim, "bind"))
	require.NoError(t, tempdir.Remove(background, victim, tempdir.DetachMounts()))
	require.NoFileExists(t, victim)
	requireLayer(t, kept[0])
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
