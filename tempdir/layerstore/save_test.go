//go:build linux

package layerstore_test

import (
	"archive/tar"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// The files keep their blocks when there is less to save: with a full disk there
// might be none again.
func TestMetadataNeverGivesABlockBack(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", layerstore.Empty())
	for _, size := range []int{20_000, 20_000, 0, 0, 0} {
		require.NoError(t, s.Save(background, "a", map[string]string{"k": strings.Repeat("v", size)}))
	}
	for _, name := range []string{"layers.json", "layers.json.spare"} {
		info, err := os.Stat(filepath.Join(path, name))
		require.NoError(t, err)
		assert.Greater(t, info.Size(), int64(20_000), name)
	}
	layer, err := openStore(t, path).Layer(background, "a")
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"k": ""}, layer.Labels)
}

// A save that needs a block more takes it for both files: the next one may be on a
// full disk, and is to flag a layer.
func TestBothFilesGrow(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", layerstore.Empty())
	size := func(name string) int64 { return must(os.Stat(filepath.Join(path, name))).Size() }
	grown := 0
	for n := 0; grown < 3; n += 50 {
		before := size("layers.json")
		require.NoError(t, s.Save(background, "a", map[string]string{"k": strings.Repeat("v", n)}))
		require.Equal(t, size("layers.json"), size("layers.json.spare"), "%d bytes", n)
		if size("layers.json") > before {
			grown++
		}
	}
}

// A save that another process makes is seen, even if size, time and inode of the
// metadata are what they were: by the token.
func TestSavesWithEqualStampsAreSeen(t *testing.T) {
	s, path := newStore(t)
	other := openStore(t, path)
	create(t, s, "a", layerstore.Empty())
	metadata := filepath.Join(path, "layers.json")
	before, err := os.Stat(metadata)
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, listIDs(t, s))
	require.NoError(t, other.Save(background, "a", map[string]string{"k": "1"}))
	require.NoError(t, other.Save(background, "a", map[string]string{"k": "2"})) // the same file again
	require.NoError(t, os.Chtimes(metadata, before.ModTime(), before.ModTime()))
	after, err := os.Stat(metadata)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after) && before.Size() == after.Size() && before.ModTime().Equal(after.ModTime()))
	layer, err := s.Layer(background, "a")
	require.NoError(t, err)
	assert.Equal(t, "2", layer.Labels["k"])
}

// The lock of a lock file that was replaced while one waited is a ghost lock.
func TestStoreLockIsRechecked(t *testing.T) {
	opened, fd, created := 0, -1, false
	c := &calls{}
	lock := ""
	c.before = func(_ int64, name string) error {
		switch {
		case name == "Disk.OpenLock":
			opened++
		case name == "Disk.TakeLock" && fd < 0 && lock != "":
			must(0, os.WriteFile(lock+".new", must(os.ReadFile(lock)), 0o600))
			must(0, os.Rename(lock+".new", lock))
			fd = must(unix.Open(lock, unix.O_RDWR|unix.O_CLOEXEC, 0))
		case name == "Disk.WriteSpare" && !created: // now it holds the lock that has the name
			created = unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 1}) == unix.EAGAIN
		}
		return nil
	}
	s, path := newStore(t, c.options()...)
	opened, lock = 0, filepath.Join(path, "store.lock")
	create(t, s, "a", layerstore.Empty())
	unix.Close(fd)
	assert.True(t, created)
	assert.Equal(t, 3, opened, "one more than two")
}

// A parent that is deleted, or made anew, while a child is built is not its parent.
func TestParentThatGoesWhileTheChildIsBuilt(t *testing.T) {
	for _, again := range []bool{false, true} {
		for _, driver := range layouts {
			t.Run(fmt.Sprintf("%s/again=%t", driver.Name(), again), func(t *testing.T) {
				s, path := newStore(t, layerstore.WithDriver(driver))
				create(t, s, "parent", someFiles(2, "old"))
				stream, first := archive(file("a", "1")), true
				_, err := s.Create(background, layerstore.Layer{ID: "child", Parent: "parent"}, layerstore.Tar(readerFunc(func(p []byte) (int, error) {
					if first {
						first = false
						must(s.Delete(background, "parent"))
						if again {
							must(s.Create(background, layerstore.Layer{ID: "parent"}, someFiles(2, "new")))
						}
					}
					return stream.Read(p)
				})))
				require.ErrorIs(t, err, layerstore.ErrNoParent)
				assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
				assert.NotContains(t, listIDs(t, s), "child")
				for _, name := range leftovers(path) {
					assert.NotContains(t, name, "child")
					assert.NotContains(t, name, "temp-dir")
				}
			})
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// A layer that is mounted after the look at the kernel's table is refused all the
// same, as long as nothing moved.
func TestMountedInTheLastMoment(t *testing.T) {
	mount, full := func() {}, false
	c := &calls{before: func(_ int64, name string) error {
		if full && name == "Disk.WriteSpare" {
			return unix.ENOSPC
		}
		if name == "Kernel.StageDeletion" {
			mount()
			mount = func() {}
		}
		return nil
	}}
	s, path := newStore(t, c.options()...)
	create(t, s, "a", someFiles(3, "a"))
	where, err := s.Path(background, "a")
	require.NoError(t, err)
	outside := t.TempDir()
	t.Run("while", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("skipped, because mounting needs root")
		}
		mount = func() { testfs.Bind(t, outside, where) }
		_, err = s.Delete(background, "a")
		require.ErrorIs(t, err, layerstore.ErrMounted)
		assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
		assert.Equal(t, []string{"a"}, listIDs(t, s))
	})
	assertWhole(t, openStore(t, path), "a", 3)
	t.Run("and the flag stays", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("skipped, because mounting needs root")
		}
		mount = func() { full = true; testfs.Bind(t, outside, where) }
		_, err = s.Delete(background, "a")
		full = false
		require.ErrorIs(t, err, layerstore.ErrMounted)
		assert.Equal(t, layerstore.TookEffect, layerstore.EffectOf(err))
		assert.Empty(t, listIDs(t, s))
	})
}

// Of two who make a store the second finds the first one's.
func TestTwoMakeOneStore(t *testing.T) {
	path, first := filepath.Join(scratch(t), "store"), true
	c := &calls{before: func(_ int64, name string) error {
		if name == "Disk.TakeLock" && first { // it has seen that there is no metadata
			first = false
			create(t, openStore(t, path), "a", someFiles(3, "a"))
		}
		return nil
	}}
	s := openStore(t, path, c.options()...)
	assertWhole(t, s, "a", 3)
	require.NoError(t, s.Save(background, "a", nil))
}

// Paths and links do not lead a reader out of a layer.
func TestReadStaysInside(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", layerstore.Tar(archive([]tar.Header{file("f", "1"), symlink("out", "/etc/passwd"), symlink("up", "../b/f"), symlink("in", "f")}...)))
	create(t, s, "b", layerstore.Tar(archive(file("f", "2"))))
	for _, name := range []string{"out", "up", "../b/f", "/etc/passwd", filepath.Join(path, "layers.json")} {
		_, err := s.ReadFile(background, "a", name)
		require.Error(t, err, name)
		assert.True(t, strings.Contains(err.Error(), name), err)
	}
	content, err := s.ReadFile(background, "a", "in")
	require.NoError(t, err)
	assert.Equal(t, "1", string(content))
}
