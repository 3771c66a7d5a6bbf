//go:build linux

package tempdir_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// refused wants that path cannot be staged, that nothing changed, and that the
// live neighbour works on.
func (s *scene) refused(t testing.TB, path string, reasons ...error) {
	t.Helper()
	before := testfs.Snapshot(t, filepath.Dir(s.root.Path()))
	err := s.live.StageDeletion(path)
	require.Error(t, err, "staged %q", path)
	requireRefusal(t, err, "stage deletion", path, reasons...)
	require.Equal(t, before, testfs.Snapshot(t, filepath.Dir(s.root.Path())))
}

func TestVictimOnAnotherFileSystem(t *testing.T) {
	s := newScene(t)
	victim := makeLayer(t, filepath.Join(testfs.Elsewhere(t), "victim"))
	s.refused(t, victim, tempdir.ErrCrossDevice, unix.EXDEV)
	requireLayer(t, victim)
	_, err := s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

func TestDestinationOnAnotherFileSystem(t *testing.T) {
	s := newScene(t)
	destination := filepath.Join(testfs.Elsewhere(t), "destination")
	addition, err := s.live.StageAddition()
	require.NoError(t, err)
	makeLayer(t, addition.Path())
	requireRefusal(t, addition.Commit(destination), "commit", destination, tempdir.ErrCrossDevice, unix.EXDEV)
	require.NoDirExists(t, destination)
	requireLayer(t, addition.Path())
	require.NoError(t, addition.Commit(beside(s.root, "destination")), "it may be committed elsewhere")
	requireLayer(t, beside(s.root, "destination"))
	_, err = s.unharmed(t)
	require.NoError(t, err)
}

// One file system by two mounts: the kernel renames within one only.
func TestVictimBehindABindMount(t *testing.T) {
	if !mounting(t) {
		return
	}
	s := newScene(t)
	bound := beside(s.root, "bound")
	require.NoError(t, os.Mkdir(bound, 0o700))
	testfs.Bind(t, filepath.Dir(s.victim), bound)
	err := s.live.StageDeletion(filepath.Join(bound, "victim"))
	requireRefusal(t, err, "stage deletion", filepath.Join(bound, "victim"), tempdir.ErrCrossDevice, unix.EXDEV)
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

func TestVictimThatIsAMountPoint(t *testing.T) {
	if !mounting(t) {
		return
	}
	for name, mount := range map[string]func(t *testing.T, s *scene){
		"another file system":  func(t *testing.T, s *scene) { testfs.Bind(t, makeLayer(t, testfs.Tmpfs(t, "")), s.victim) },
		"the same file system": func(t *testing.T, s *scene) { testfs.Bind(t, s.outside, s.victim) },
		"itself":               func(t *testing.T, s *scene) { testfs.Bind(t, s.victim, s.victim) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			mount(t, s)
			s.refused(t, s.victim, tempdir.ErrMountPoint, unix.EBUSY)
			_, err := s.unharmed(t)
			require.NoError(t, err)
			s.end(t)
		})
	}
}

func TestVictimGone(t *testing.T) {
	s := newScene(t)
	for _, victim := range []string{beside(s.root, "gone"), beside(s.root, "gone/too")} {
		s.refused(t, victim, tempdir.ErrVictimGone, unix.ENOENT)
		err := s.live.StageDeletion(victim)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.NotErrorIs(t, err, tempdir.ErrInstanceGone)
	}
	s.refused(t, filepath.Join(s.outside, "readme", "gone"), unix.ENOTDIR)
	_, err := s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

// Somebody took the live instance's data away. It is loud, and not taken for a
// victim that is gone.
func TestInstanceGone(t *testing.T) {
	s := newScene(t)
	dir, err := s.root.Create()
	require.NoError(t, err)
	addition, err := dir.StageAddition()
	require.NoError(t, err)
	require.NoError(t, os.Remove(s.data(dir.ID())))
	destination := beside(s.root, "destination")
	for _, c := range []struct {
		op  string
		act func() error
	}{
		{"stage deletion", func() error { return dir.StageDeletion(s.victim) }},
		{"commit", func() error { return addition.Commit(destination) }},
		{"sync", dir.Sync},
		{"close", func() error { return dir.Close(background) }},
	} {
		err := c.act()
		requireRefusal(t, err, c.op, s.data(dir.ID()), tempdir.ErrInstanceGone)
		require.NotErrorIs(t, err, fs.ErrNotExist)
	}
	require.NoDirExists(t, destination)
	require.NoFileExists(t, s.lock(dir.ID()), "nothing of the instance is left")
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

// An instance in which nothing is staged is closed by one call, and looked at all the same.
func TestCloseWithNothingStaged(t *testing.T) {
	s := newScene(t)
	gone, filled := must(s.root.Create()), must(s.root.Create())
	require.NoError(t, os.Remove(s.data(gone.ID())))
	require.NoError(t, os.WriteFile(filepath.Join(s.data(filled.ID()), "stranger"), nil, 0o600))
	require.ErrorIs(t, gone.Close(background), tempdir.ErrInstanceGone)
	require.NoError(t, filled.Close(background))
	require.NoDirExists(t, s.data(filled.ID()))
}

func TestVictimThatIsNoName(t *testing.T) {
	s := newScene(t)
	for _, victim := range []string{"", ".", "..", "/", "//", "./", "../", s.victim + "/.", s.victim + "/..", s.outside + "/etc/.."} {
		s.refused(t, victim, unix.EINVAL)
	}
	_, err := s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

func TestVictimThatHoldsTheRoot(t *testing.T) {
	base := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.Mkdir(base, 0o700))
	s := newSceneAt(t, base)
	for _, victim := range []string{s.root.Path(), s.root.Path() + "/", base, filepath.Dir(base)} {
		s.refused(t, victim, tempdir.ErrContainsRoot, unix.EINVAL)
	}
	t.Chdir(s.root.Path())
	s.refused(t, "../root", tempdir.ErrContainsRoot, unix.EINVAL)
	s.refused(t, "../../store", tempdir.ErrContainsRoot, unix.EINVAL)

	// A diagnosis changes nothing, also if another directory has the root's name
	// by now (REVIEW B3).
	moved := s.root.Path() + "-moved"
	require.NoError(t, os.Rename(s.root.Path(), moved))
	require.NoError(t, os.Mkdir(s.root.Path(), 0o700))
	s.refused(t, base, tempdir.ErrContainsRoot, unix.EINVAL)
	require.NoError(t, os.Remove(s.root.Path()), "nothing was put there")
	require.NoError(t, os.Rename(moved, s.root.Path()))
	_, err := s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

func TestVictimThatIsAnInstance(t *testing.T) {
	if !mounting(t) {
		return
	}
	s := newScene(t)
	base, root := filepath.Dir(s.root.Path()), s.root.Path()
	require.NoError(t, os.Symlink(root, filepath.Join(base, "link")))
	require.NoError(t, os.Mkdir(filepath.Join(root, "foreign"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(root, "foreign"), filepath.Join(base, "into")))
	another, err := s.root.Create()
	require.NoError(t, err)
	t.Chdir(root)
	for _, name := range []string{
		"lock-" + another.ID(), "temp-dir-" + another.ID(), // live
		"lock-" + staleID, "temp-dir-" + staleID,
		"lock-" + s.live.ID(), "temp-dir-" + s.live.ID(), // its own
		"lock-" + badID, // could be made any time
	} {
		for _, spelling := range []string{
			name,
			"./" + name,
			filepath.Join(root, name),
			root + "//" + name,
			root + "/./" + name,
			root + "/foreign/../" + name,
			base + "/link/" + name,
			base + "/into/../" + name, // to the kernel; to filepath.Clean it is beside the root
			"../root/" + name,
			"/proc/self/cwd/" + name,
		} {
			s.refused(t, spelling, tempdir.ErrForeign)
		}
	}
	for _, slashes := range []string{"/", "//"} {
		s.refused(t, s.data(another.ID())+slashes, tempdir.ErrForeign)
	}
	t.Run("bind mount", func(t *testing.T) {
		bound := filepath.Join(base, "bound")
		require.NoError(t, os.Mkdir(bound, 0o700))
		testfs.Bind(t, root, bound)
		s.refused(t, filepath.Join(bound, "temp-dir-"+another.ID()), tempdir.ErrForeign)
	})
	require.NoError(t, another.Close(background))
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t, "foreign")
}
