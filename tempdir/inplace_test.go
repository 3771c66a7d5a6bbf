//go:build linux

package tempdir_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Remove takes away one path, of any type, and nothing else.
func TestRemoveInPlace(t *testing.T) {
	base := t.TempDir()
	outside := filepath.Join(base, "outside")
	require.NoError(t, os.WriteFile(outside, []byte("precious"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(base, "dir"), 0o700))
	require.NoError(t, os.Symlink("dir", filepath.Join(base, "alias")))
	at := func(name string) string { return filepath.Join(base, "dir", name) }
	long := strings.Repeat("n", 255)
	makeLayer(t, at("tree"))
	require.NoError(t, os.Symlink(outside, at("tree/outside")))
	require.NoError(t, os.Symlink(outside, at("link")))
	require.NoError(t, os.Symlink(base, at("link to a directory")))
	require.NoError(t, os.WriteFile(at("file"), nil, 0o600))
	require.NoError(t, os.MkdirAll(at(long), 0o700))
	require.NoError(t, os.MkdirAll(at("slash"), 0o700))
	for _, name := range []string{"tree", "link", "link to a directory", "file", long, "slash/"} {
		path := filepath.Join(base, "alias") + "/" + name // a link in the parent is followed
		require.NoError(t, tempdir.Remove(background, path), name)
		assert.NoFileExists(t, at(name))
		requireRefusal(t, tempdir.Remove(background, path), "remove", path, tempdir.ErrVictimGone)
	}
	requireRefusal(t, tempdir.Remove(background, at("no/where")), "remove", at("no/where"), tempdir.ErrVictimGone)
	requireRefusal(t, tempdir.Remove(background, outside+"/"), "remove", outside+"/", unix.ENOTDIR)
	requireRefusal(t, tempdir.Remove(background, outside+"/x"), "remove", outside+"/x", unix.ENOTDIR)
	assert.FileExists(t, outside)
	for _, path := range []string{"", ".", "..", "/", base + "/.", base + "/..", "//"} {
		requireRefusal(t, tempdir.Remove(background, path), "remove", path, unix.EINVAL)
		require.ErrorContains(t, tempdir.Remove(background, path), "has to end in a name")
	}
	t.Chdir(base)
	makeLayer(t, "relative")
	require.NoError(t, os.Mkdir("relative/x", 0o700))
	require.NoError(t, tempdir.Remove(background, "relative/x"))
	require.NoError(t, tempdir.Remove(background, "relative"))
	assert.NoFileExists(t, filepath.Join(base, "relative"))
	requireRefusal(t, tempdir.Remove(background, "relative"), "remove", "relative", tempdir.ErrVictimGone)
}

// A name is an instance's if both names are there, or if its lock is held, and
// not because of what it is called (REVIEW B5).
func TestRemoveInPlaceRefusesInstancesAlone(t *testing.T) {
	s := newScene(t)
	unlocked, bare, directory, upstream := idOf("1"), idOf("2"), idOf("3"), "17"
	require.NoError(t, os.WriteFile(s.lock(unlocked), nil, 0o600))
	makeLayer(t, s.data(bare))
	makeLayer(t, s.lock(directory))
	makeLayer(t, s.data(directory))
	makeLayer(t, s.lock(upstream))
	makeLayer(t, s.data(upstream))
	held, err := s.root.CreateLock("lock-" + idOf("4"))
	require.NoError(t, err)
	for _, path := range []string{s.lock(s.live.ID()), s.data(s.live.ID()), s.lock(staleID), s.data(staleID), s.lock(idOf("4"))} {
		requireRefusal(t, tempdir.Remove(background, path), "remove", path, tempdir.ErrForeign)
	}
	for _, path := range []string{s.lock(unlocked), s.data(bare), s.lock(directory), s.data(directory), s.lock(upstream), s.data(upstream)} {
		require.NoError(t, tempdir.Remove(background, path))
		require.NoFileExists(t, path)
	}
	require.NoError(t, held.Delete())
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}
