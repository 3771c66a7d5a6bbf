//go:build linux

package tempdir_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// stageNew makes an instance with what build makes as its only entry, and
// returns it with the path of that entry.
func stageNew(t testing.TB, root *tempdir.Root, build func(path string)) (*tempdir.Dir, string) {
	t.Helper()
	dir, err := root.Create()
	require.NoError(t, err)
	addition, err := dir.StageAddition()
	require.NoError(t, err)
	build(addition.Path())
	return dir, addition.Path()
}

// makeDeep makes a chain of directories, each with a file, below path. It works
// by descriptors: the path of the deepest is far longer than PATH_MAX.
func makeDeep(t testing.TB, path string, levels int, name string) {
	t.Helper()
	require.NoError(t, os.Mkdir(path, 0o755))
	fd, err := unix.Open(path, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	for range levels {
		require.NoError(t, unix.Mkdirat(fd, name, 0o755))
		require.NoError(t, unix.Mknodat(fd, "file", unix.S_IFREG|0o644, 0))
		next, err := unix.Openat(fd, name, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		require.NoError(t, err)
		unix.Close(fd)
		fd = next
	}
	unix.Close(fd)
}

// Any depth takes a bounded number of descriptors, with names as long as they
// can be; and one removal, though it lists the data directory more than a
// thousand times, as it does not for a stranger who goes on adding names.
func TestDeepTreesAreRemovedWithFewDescriptors(t *testing.T) {
	for _, c := range []struct {
		levels int
		name   string
	}{
		{1, "d"}, {31, "d"}, {32, "d"}, {33, "d"}, {34, "d"}, {100, "d"}, {300, strings.Repeat("d", 255)}, {34_000, "d"},
	} {
		t.Run(fmt.Sprintf("%d levels of %d bytes", c.levels, len(c.name)), func(t *testing.T) {
			k := newTap()
			root := openRoot(t, kernel.With[tempdir.Option](k))
			if c.levels > 1000 {
				if testing.Short() {
					t.Skip("skipped, because -short: it takes seconds")
				}
				root = openAt(t, filepath.Join(testfs.InMemory(t), "root"), kernel.With[tempdir.Option](k), tempdir.Workers(1))
			}
			dir, _ := stageNew(t, root, func(path string) { makeDeep(t, path, c.levels, c.name) })
			err := dir.Close(background)
			for attempt := 0; err != nil && attempt < 100; attempt++ {
				root.Recover(background) // what is deeper than the test's cleanup can go
			}
			require.NoError(t, err)
			assert.Empty(t, rootNames(t, root))
			assert.LessOrEqual(t, k.most, 34, "descriptors open at a time")
			assert.Empty(t, k.open)
			if c.levels > 1000 {
				assert.Less(t, strings.Count(k.take(), "Hoist"), c.levels/30)
			}
		})
	}
}

// So is a tree in place whose directories the user may not write, or that are
// immutable: its own top has to be mended for that.
func TestDeepTreeInPlaceWhenDescriptorsRunOut(t *testing.T) {
	remove := func(t *testing.T, shut func(path string)) {
		k := newTap()
		top := filepath.Join(t.TempDir(), "top")
		makeDeep(t, top, 100, "d")
		require.NoError(t, os.Remove(filepath.Join(top, "file"))) // or its removal mends the top
		for path := top; len(path) < len(top)+200; path += "/d" {
			shut(path)
		}
		k.set(func(method, _ string) error {
			if method == "OpenDirectory" && len(k.open) > 35 {
				return unix.EMFILE
			}
			return nil
		})
		require.NoError(t, tempdir.Remove(background, top, kernel.With[tempdir.Option](k), tempdir.ClearFlags()))
		assert.NoDirExists(t, top)
		assert.Empty(t, k.open)
	}
	t.Run("modes", func(t *testing.T) {
		testfs.Without(t, testfs.Lack{User: 1234}, func(t *testing.T) {
			remove(t, func(path string) { require.NoError(t, os.Chmod(path, 0o555)) })
		})
	})
	t.Run("flags", func(t *testing.T) {
		needsRoot(t, "a flag")
		remove(t, func(path string) { testfs.SetFlags(t, path, testfs.Immutable) })
	})
}

// A failure deep down: hoisted parts do not hide it, it is named once, and all
// the rest is gone, whether or not a listing shows names that appear meanwhile.
func TestDeepTreeWithOneEntryThatStays(t *testing.T) {
	for name, wrap := range map[string]func(*tap) kernel.Kernel{
		"listing as it comes":       func(k *tap) kernel.Kernel { return k },
		"listing of the first look": func(k *tap) kernel.Kernel { return &firstLook{k, map[int]bool{}} },
	} {
		t.Run(name, func(t *testing.T) {
			sys := newTap()
			root := openRoot(t, kernel.With[tempdir.Option](wrap(sys)))
			dir, _ := stageNew(t, root, func(path string) {
				makeDeep(t, path, 80, "d")
				require.NoError(t, os.WriteFile(filepath.Join(path, strings.Repeat("d/", 70), "stays"), nil, 0o644))
			})
			addition, err := dir.StageAddition()
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(addition.Path(), nil, 0o644))
			sys.set(func(method, name string) error {
				if method == "RemoveEntry" && (name == "stays" || name == filepath.Base(addition.Path())) {
					return unix.EIO
				}
				return nil
			})
			err = dir.Close(background)
			var left *tempdir.LeftoverError
			require.ErrorAs(t, err, &left)
			require.Len(t, left.Reasons, 2)
			require.Equal(t, 2, left.Failed)
			require.ErrorContains(t, err, "/stays: input/output error")
			files := 0
			require.NoError(t, filepath.WalkDir(root.Path(), func(_ string, entry os.DirEntry, err error) error {
				if !entry.IsDir() && !strings.HasPrefix(entry.Name(), "lock-") {
					files++
				}
				return err
			}))
			assert.Equal(t, 2, files)
			sys.set(nil)
			_, err = root.Recover(background)
			require.NoError(t, err)
			assert.Empty(t, rootNames(t, root))
		})
	}
}

// firstLook is a file system whose listings show what was there when they began.
type firstLook struct {
	*tap
	looked map[int]bool
}

func (k *firstLook) List(fd int, entries []kernel.Entry) ([]kernel.Entry, error) {
	for !k.looked[fd] {
		more, err := k.tap.List(fd, nil)
		if err != nil {
			return entries, err
		}
		entries = append(entries, more...)
		k.looked[fd] = len(more) == 0
	}
	return entries, nil
}

func (k *firstLook) Close(fd int) error {
	delete(k.looked, fd)
	return k.tap.Close(fd)
}

func TestEveryTypeAndNameIsRemoved(t *testing.T) {
	root := openRoot(t)
	outside := makeLayer(t, beside(root, "outside"))
	dir, _ := stageNew(t, root, func(path string) {
		require.NoError(t, os.Mkdir(path, 0o755))
		at := func(name string) string { return filepath.Join(path, name) }
		for _, name := range []string{
			strings.Repeat("n", 255), "\xff\xfe not UTF-8", "new\nline", " ", "-rf", "*", ".hidden", "...", "a\\b",
		} {
			require.NoError(t, os.WriteFile(at(name), nil, 0o644))
			require.NoError(t, os.Mkdir(at(name[:len(name)/2+len(name)%2]+"+d"), 0o755))
		}
		require.NoError(t, unix.Mkfifo(at("fifo"), 0o644))
		require.NoError(t, unix.Mknod(at("socket"), unix.S_IFSOCK|0o644, 0))
		require.NoError(t, os.Symlink(outside, at("link to a directory")))
		require.NoError(t, os.Symlink(filepath.Join(outside, "readme"), at("link to a file")))
		require.NoError(t, os.Symlink("..", at("link upwards")))
		require.NoError(t, os.Symlink("nowhere", at("dangling")))
		require.NoError(t, os.Link(filepath.Join(outside, "readme"), at("hard link")))
		require.NoError(t, os.WriteFile(at("mode 0000"), nil, 0))
		for name, device := range map[string]struct {
			mode   uint32
			number uint64
		}{
			"whiteout": {unix.S_IFCHR, 0},
			"null":     {unix.S_IFCHR | 0o666, unix.Mkdev(1, 3)},
			"block":    {unix.S_IFBLK | 0o600, unix.Mkdev(7, 200)},
		} {
			if err := unix.Mknod(at(name), device.mode, int(device.number)); err != nil {
				require.ErrorIs(t, err, unix.EPERM)
				t.Logf("device node %s skipped, because this user or this file system may not have it", name)
			}
		}
	})
	require.NoError(t, dir.Close(background))
	assert.Empty(t, rootNames(t, root))
	requireLayer(t, outside)
}

// Nobody needs the modes of directories that go, so they do not keep an
// ordinary user from removing them (F37).
func TestUnreadableDirectoriesOfAnOrdinaryUser(t *testing.T) {
	if !asNobody(t) {
		return
	}
	root := openRoot(t)
	dir, _ := stageNew(t, root, func(path string) {
		deep := path
		for i := range 40 {
			deep = filepath.Join(deep, fmt.Sprint(i))
		}
		require.NoError(t, os.MkdirAll(deep, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(deep, "file"), nil, 0o000))
		for ; deep != filepath.Dir(path); deep = filepath.Dir(deep) {
			require.NoError(t, os.Mkdir(filepath.Join(deep, "e"), 0o000))
			require.NoError(t, os.WriteFile(filepath.Join(deep, "f"), nil, 0o444))
			require.NoError(t, os.Chmod(deep, os.FileMode(len(deep)%2)*0o555)) // 0000 and 0555
		}
	})
	require.NoError(t, dir.Close(background))
	assert.Empty(t, rootNames(t, root))
}

// asOrdinaryUser makes cmd run without privileges and path that user's.
func asOrdinaryUser(t testing.TB, cmd *exec.Cmd, path string) {
	testfs.Reachable(t, filepath.Dir(path))
	require.NoError(t, os.Chown(path, nobody, nobody))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
}

// A directory becomes a link between being listed and being opened: the link
// goes, its target stays.
func TestDirectorySwappedForALink(t *testing.T) {
	k := newTap()
	root := openRoot(t, kernel.With[tempdir.Option](k))
	outside := makeLayer(t, beside(root, "outside"))
	dir, entry := stageNew(t, root, func(path string) { makeLayer(t, path) })
	swapped := false
	k.set(func(method, name string) error {
		if method == "OpenDirectory" && name == "usr" && !swapped {
			swapped = true
			require.NoError(t, os.RemoveAll(filepath.Join(entry, "usr")))
			require.NoError(t, os.Symlink(outside, filepath.Join(entry, "usr")))
		}
		return nil
	})
	require.NoError(t, dir.Close(background))
	assert.True(t, swapped)
	requireLayer(t, outside)
	assert.Empty(t, rootNames(t, root))
}

// A victim can be larger than one listing.
func TestManyEntries(t *testing.T) {
	root := openRoot(t)
	const files = 1000 // more than one call of getdents64 returns
	dir, _ := stageNew(t, root, func(path string) {
		require.NoError(t, os.Mkdir(path, 0o755))
		for i := range files {
			require.NoError(t, unix.Mknod(filepath.Join(path, fmt.Sprintf("%0100d", i)), unix.S_IFREG|0o644, 0))
		}
	})
	usage, err := root.Usage(background, dir.ID())
	require.NoError(t, err)
	assert.Equal(t, int64(files+1), usage.Files)
	require.NoError(t, dir.Close(background))
	assert.Empty(t, rootNames(t, root))
}
