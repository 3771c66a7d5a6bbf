//go:build linux

package layerstore_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A directory has the mode of its last entry, in whatever order and by whatever name
// directories come, also where that mode keeps the owner out.
func TestModesOfDirectories(t *testing.T) {
	of := func(name string, mode int64) tar.Header { h := dir(name); h.Mode = mode; return h }
	for name, c := range map[string]struct {
		entries []tar.Header
		want    map[string]fs.FileMode
	}{
		"twice":           {[]tar.Header{of("./", 0o755), of("a", 0o700), of("a", 0o300), of("./", 0o555)}, map[string]fs.FileMode{".": 0o555, "a": 0o300}},
		"opened again":    {[]tar.Header{of("a", 0), of("a", 0o750)}, map[string]fs.FileMode{"a": 0o750}},
		"the inner first": {[]tar.Header{of("a/b", 0o711), of("a", 0o600)}, map[string]fs.FileMode{"a": 0o600, "a/b": 0o711}},
		"through a link":  {[]tar.Header{of("a/b", 0o711), symlink("l", "a"), of("l/b", 0o100)}, map[string]fs.FileMode{"a/b": 0o100}},
		"replaced":        {[]tar.Header{of("a/b", 0o711), symlink("a", "/etc")}, nil},
	} {
		for _, user := range []int{0, 12345} {
			t.Run(fmt.Sprintf("%s/user %d", name, user), func(t *testing.T) {
				testfs.Without(t, testfs.Lack{User: user}, func(t *testing.T) {
					s := openStore(t, filepath.Join(scratch(t), "store"))
					create(t, s, "layer", layerstore.Tar(archive(c.entries...)))
					files, err := s.Path(background, "layer")
					require.NoError(t, err)
					for _, name := range slices.Sorted(maps.Keys(c.want)) {
						want := c.want[name]
						info, err := os.Lstat(filepath.Join(files, name))
						if errors.Is(err, fs.ErrPermission) { // it is in one that keeps its owner out
							require.NoError(t, os.Chmod(filepath.Join(files, filepath.Dir(name)), 0o700))
							info, err = os.Lstat(filepath.Join(files, name))
						}
						require.NoError(t, err)
						require.Equal(t, want, info.Mode().Perm(), name)
					}
					_, err = s.Delete(background, "layer")
					require.NoError(t, err)
				})
			})
		}
	}
}

// A layer whose directories cannot have their modes is none.
func TestModesOfDirectoriesThatCannotBeSet(t *testing.T) {
	testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{"fchmod": unix.EIO}}, func(t *testing.T) {
		s := openStore(t, filepath.Join(scratch(t), "store"))
		_, err := s.Create(background, layerstore.Layer{ID: "a"}, layerstore.Tar(archive(dir("./"), dir("d/"))))
		require.ErrorIs(t, err, unix.EIO)
		there, err := s.Exists(background, "a")
		require.NoError(t, err)
		require.False(t, there)
	})
}

// A store works for processes that have less than the others: calls that a sandbox
// or a file system refuses, no /proc, an ordinary user; and with layers that nobody
// may write (FIELD 5, 23, 24, 26, 28, 41).
func TestStoreWithLess(t *testing.T) {
	calls := func(names map[string]syscall.Errno) testfs.Lack { return testfs.Lack{Calls: names} }
	for _, c := range []struct {
		name string
		lack testfs.Lack
	}{
		{"nothing", testfs.Lack{}},
		{"openat2 EPERM", calls(map[string]syscall.Errno{"openat2": unix.EPERM})},
		{"openat2 ENOSYS", calls(map[string]syscall.Errno{"openat2": unix.ENOSYS})},
		{"exchange EINVAL", calls(map[string]syscall.Errno{testfs.Exchange: unix.EINVAL})},
		{"no replace EINVAL", calls(map[string]syscall.Errno{testfs.NoReplace: unix.EINVAL})},
		{"flags EINVAL", calls(map[string]syscall.Errno{testfs.NoReplace: unix.EINVAL, testfs.Exchange: unix.EINVAL})},
		{"unnamed files EOPNOTSUPP", calls(map[string]syscall.Errno{testfs.Unnamed: unix.EOPNOTSUPP})},
		{"statx ENOSYS", calls(map[string]syscall.Errno{"statx": unix.ENOSYS})},
		{"statx EACCES", calls(map[string]syscall.Errno{"statx": unix.EACCES})},
		{"statx EPERM", calls(map[string]syscall.Errno{"statx": unix.EPERM})},
		{"nothing new", calls(map[string]syscall.Errno{"statx": unix.ENOSYS, "openat2": unix.ENOSYS, testfs.NoReplace: unix.EINVAL, testfs.Exchange: unix.EINVAL, testfs.Unnamed: unix.EISDIR, "fchmodat2": unix.ENOSYS, "listmount": unix.ENOSYS})},
		{"linkat EPERM", calls(map[string]syscall.Errno{"linkat": unix.EPERM})},
		{"linkat EXDEV", calls(map[string]syscall.Errno{"linkat": unix.EXDEV})},
		{"no proc", testfs.Lack{Proc: true}},
	} {
		for _, user := range []int{0, 12345} {
			t.Run(fmt.Sprintf("%s/user %d", c.name, user), func(t *testing.T) {
				if testing.Short() && c.name != "nothing" && c.name != "nothing new" {
					t.Skip("skipped, because -short: what is lacking together stands for each")
				}
				c.lack.User = user
				testfs.Without(t, c.lack, func(t *testing.T) {
					for _, driver := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay, layerstore.Direct} {
						lifeOfAStore(t, filepath.Join(scratch(t), "store"), driver)
						if driver != layerstore.Direct { // which moves nothing
							lifeOfAStore(t, filepath.Join(scratch(t), "store"), driver, refused{"Kernel.StageDeletion": unix.ENOSPC}.options()...)
						}
					}
				})
			})
		}
	}
}

func init() {
	// "mounts without proc" STORE: what a process without /proc may do with layers that
	// one with /proc has mounted, and the other way round.
	proc.Register("mounts without proc", func(arguments []string) {
		s := must(layerstore.Open(arguments[0]))
		if _, err := s.Delete(background, "a"); !errors.Is(err, layerstore.ErrMounted) {
			panic(fmt.Sprint("it deletes what is mounted: ", err))
		}
		must(s.Mount(background, "b"))
		must(0, s.Unmount(background, "a"))
	})
}

func init() {
	// "creates without" STORE PARENT: an archive that hides what is below, on the parent.
	proc.Register("creates without", func(arguments []string) {
		content := layerstore.Tar(archive(file("a/b", ""), file("a/.wh..wh..opq", "")))
		_, err := must(layerstore.Open(arguments[0])).Create(background, layerstore.Layer{ID: "new", Parent: arguments[1]}, content)
		if !errors.Is(err, unix.EIO) {
			panic(fmt.Sprint("what could not be read is hidden, or copied: ", err))
		}
	})
}

// What an archive hides and nobody can list would show for ever; and what of a parent
// cannot be read is no empty file or link.
func TestWhatCannotBeReadFailsACreation(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "links", layerstore.Tar(archive(symlink("a", "b"))))
	create(t, s, "files", layerstore.Tar(archive(file("a", "b"))))
	for parent, call := range map[string]string{"": "getdents64", "files": "getdents64", "links": "readlinkat"} {
		child := proc.New("creates without", path, parent)
		testfs.Lack{Calls: map[string]syscall.Errno{call: unix.EIO}}.Command(t, child.Cmd)
		output, err := child.CombinedOutput()
		require.NoError(t, err, "%s: %s", call, output)
	}
}

// Which boot this is a process without /proc cannot tell; what is mounted stays
// mounted for it, and what it mounts for the others.
func TestMountsOfProcessesWithoutProc(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", layerstore.Empty())
	create(t, s, "b", layerstore.Empty())
	for range 2 {
		must(s.Mount(background, "a"))
	}
	other := proc.New("mounts without proc", path)
	testfs.Lack{Proc: true}.Command(t, other.Cmd)
	output, err := other.CombinedOutput()
	require.NoError(t, err, "%s", output)
	for _, id := range []string{"a", "b"} {
		_, err = s.Delete(background, id)
		require.ErrorIs(t, err, layerstore.ErrMounted, id)
		require.NoError(t, s.Unmount(background, id))
		require.ErrorIs(t, s.Unmount(background, id), layerstore.ErrNotMounted, id)
		_, err = s.Delete(background, id)
		require.NoError(t, err, id)
	}
}

// A store works on file systems that lack what the others have: bindfs refuses flags
// of a rename, FUSE has no unnamed files (FIELD 23, 24).
func TestStoreOnPoorFileSystems(t *testing.T) {
	for name, mount := range map[string]func(testing.TB) string{
		"fuse":   testfs.Fuse,
		"bindfs": testfs.Bindfs,
	} {
		for _, driver := range layouts {
			t.Run(name+"/"+driver.Name(), func(t *testing.T) {
				if testing.Short() {
					t.Skip("skipped, because every call goes through a server")
				}
				lifeOfAStore(t, filepath.Join(mount(t), "store"), driver)
			})
		}
	}
}

// lifeOfAStore creates, reads, deletes and recovers layers, among them such of stranger
// modes.
func lifeOfAStore(t *testing.T, path string, driver layerstore.Driver, options ...layerstore.Option) {
	t.Helper()
	s := openStore(t, path, append(options, layerstore.WithDriver(driver))...)
	create(t, s, "keep", someFiles(3, "keep"))
	for mode, later := range map[int64]os.FileMode{0o555: 0o555, 0o500: 0o300, 0o755: 0, 0o700: 0o100} {
		of := func(name string) tar.Header { h := dir(name); h.Mode = mode; return h }
		create(t, s, "a", layerstore.Tar(archive(of("./"), of("d/"), file("d/f", "x"), of("d/e/"))))
		files, err := s.Path(background, "a")
		require.NoError(t, err)
		info, err := os.Stat(files)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(mode), info.Mode().Perm(), "the mode of the archive")
		_, err = s.Create(background, layerstore.Layer{ID: "b", Parent: "a"}, layerstore.Empty())
		require.NoError(t, err)
		_, err = s.Delete(background, "b", "a")
		require.NoError(t, err)

		// Modes that changed later: of all directories of a layer, one that is
		// flagged, and one that is not.
		for _, id := range []string{"c", "d"} {
			create(t, s, id, someFiles(3, id))
			files, err := s.Path(background, id)
			require.NoError(t, err)
			at := []string{files + "/dir1", files}
			if driver == layerstore.Overlay {
				at = append(at, filepath.Dir(files))
			}
			for _, dir := range at {
				require.NoError(t, os.Chmod(dir, later))
			}
		}
		_, err = s.Delete(background, "c")
		require.NoError(t, err)
		setFlag(t, path, "d")
		finished, err := s.Load(background)
		require.NoError(t, err)
		require.Equal(t, []string{"d"}, finished)
	}
	for _, id := range []string{"lock-1", "temp-dir-1"} {
		create(t, s, id, someFiles(3, id))
		setFlag(t, path, id)
	}
	_, err := s.Create(background, layerstore.Layer{ID: "lock-1"}, someFiles(3, "lock-1")) // moves both aside
	require.NoError(t, err)
	_, err = s.Recover(background)
	require.NoError(t, err)
	_, err = s.Delete(background, "lock-1")
	require.NoError(t, err)
	assertWhole(t, openStore(t, path), "keep", 3)
	assert.Len(t, leftovers(path), map[string]int{"vfs": 1, "overlay": 2, "direct": 1}[driver.Name()])
}
