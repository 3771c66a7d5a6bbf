//go:build linux

package layerstore_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// obstacles are methods of the kernel that a deletion needs before anything moves.
var obstacles = [][]string{{"Kernel.StageDeletion"}, {"Kernel.MakeData"}, {"Kernel.OpenUnnamed", "Kernel.CreateLock"}, {"Kernel.TakeLock"}}

// Whatever keeps a layer from being moved aside, it is removed where it is, and its
// id is free: whatever it is called, in every layout (FIELD D, REVIEW B5).
func TestWhateverRefusesTheMove(t *testing.T) {
	errnos := []error{unix.EACCES, unix.EPERM, unix.EINVAL, unix.EROFS, unix.EXDEV, unix.ENOSPC, unix.EDQUOT, unix.EMFILE, unix.ENFILE,
		unix.EBUSY, unix.EIO, unix.ENOENT, unix.EEXIST, unix.ENOTDIR, unix.ELOOP, unix.ENOLCK, unix.ENOMEM, unix.EOPNOTSUPP, unix.ENOSYS, unix.ESTALE, unix.EMLINK, unix.ENAMETOOLONG, unix.ETXTBSY}
	ids := []string{"a", "lock-1", "temp-dir-1", "lock-a35af7d349fe103bc926ae8311718a96", "temp-dir-a35af7d349fe103bc926ae8311718a96"}
	for _, driver := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay, layerstore.Direct} {
		refuse := refused{}
		s, path := newStore(t, append(refuse.options(), layerstore.WithDriver(driver))...)
		for _, methods := range obstacles {
			for n, errno := range errnos {
				id := ids[n%len(ids)]
				name := fmt.Sprintf("%s, %v: %v, id %s", driver.Name(), methods, errno, id)
				create(t, s, "parent", someFiles(2, "parent"))
				_, err := s.Create(background, layerstore.Layer{ID: id, Parent: "parent"}, someFiles(3, id))
				require.NoError(t, err, name)
				for _, method := range methods {
					refuse[method] = errno
				}
				deletion, err := s.Delete(background, id, "parent")
				clear(refuse)
				require.NoError(t, err, name)
				if driver.Deferred() {
					require.Len(t, deletion.InPlace, 2, name)
					if errno != unix.ENOENT { // nobody takes the kernel's word for that
						require.ErrorIs(t, deletion.InPlace[0].Reason, errno, name)
					}
				}
				assert.Empty(t, listIDs(t, s), name)
			}
		}
		_, err := s.Recover(background)
		require.NoError(t, err)
		assert.Empty(t, leftovers(path))
	}
}

// immutable sets or clears the immutable flag of a file.
func immutable(t testing.TB, path string, on bool) {
	t.Helper()
	testfs.SetFlags(t, path, map[bool]int{true: testfs.Immutable}[on])
}

// mutable clears the immutable flag of what has one.
func mutable(t *testing.T, path string, info os.FileInfo) {
	if info.IsDir() || info.Mode().IsRegular() {
		immutable(t, path, false)
	}
}

// lift calls f with everything below dir.
func lift(t *testing.T, dir string, f func(*testing.T, string, os.FileInfo)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := entry.Info()
		require.NoError(t, err)
		f(t, path, info)
		return nil
	}))
}

// What cannot be removed blocks its own id for as long as the obstacle is there,
// and not longer; nobody is told that it is gone before it is (FIELD 22, 38; REVIEW
// B6).
func TestObstaclesThatAreLifted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped, because an ordinary user cannot make such obstacles")
	}
	for _, c := range []struct {
		name  string
		disk  func(testing.TB) string
		make  func(t *testing.T, files string)
		lift  func(t *testing.T, path string, info os.FileInfo) // what is below the store
		kind  error
		flags bool // ClearFlags helps
	}{
		{"an immutable layer", func(t testing.TB) string { return t.TempDir() },
			func(t *testing.T, files string) { immutable(t, files, true) }, mutable, tempdir.ErrImmutable, true},
		{"an immutable file", func(t testing.TB) string { return t.TempDir() },
			func(t *testing.T, files string) {
				immutable(t, files+"/dir1/file1", true)
				immutable(t, files+"/dir1", true)
			}, mutable, tempdir.ErrImmutable, true},
		{"a read-only subvolume", testfs.Btrfs,
			func(t *testing.T, files string) {
				require.NoError(t, os.RemoveAll(files))
				run(t, "btrfs", "subvolume", "create", files)
				require.NoError(t, os.WriteFile(filepath.Join(files, "file"), nil, 0o600))
				run(t, "btrfs", "property", "set", files, "ro", "true")
			},
			func(t *testing.T, path string, info os.FileInfo) {
				if info.IsDir() && info.Sys().(*syscall.Stat_t).Ino == 256 {
					run(t, "btrfs", "property", "set", path, "ro", "false")
				}
			}, unix.EROFS, true},
	} {
		for _, driver := range layouts {
			t.Run(c.name+"/"+driver.Name(), func(t *testing.T) {
				path := filepath.Join(c.disk(t), "store")
				s := openStore(t, path, layerstore.WithDriver(driver))
				where := func(id string) string {
					files, err := s.Path(background, id)
					require.NoError(t, err)
					return files
				}
				create(t, s, "a", someFiles(3, "a"))
				create(t, s, "b", someFiles(3, "b"))
				defer func() { // also if something fails: the test's directory goes
					if t.Failed() {
						lift(t, path, c.lift)
					}
				}()
				files := where("a")
				c.make(t, files)
				_, err := s.Delete(background, "b", "a")
				require.ErrorIs(t, err, layerstore.ErrLeftover)
				require.ErrorIs(t, err, c.kind)
				assert.Equal(t, layerstore.TookEffect, layerstore.EffectOf(err))
				assert.Empty(t, listIDs(t, s))
				create(t, s, "b", layerstore.Empty())
				for range 2 {
					report, err := s.Recover(background)
					require.ErrorIs(t, err, c.kind)
					assert.NotContains(t, report.Finished, "a")
				}
				before := leftovers(path)
				require.NoError(t, s.Save(background, "b", nil))
				assert.Equal(t, before, leftovers(path), "who tries in vain to move it leaves no instance")
				if c.flags {
					create(t, s, "c", someFiles(3, "c"))
					c.make(t, where("c"))
					clearing := openStore(t, path, layerstore.ClearFlags(), layerstore.WithoutRecovery())
					_, err = clearing.Delete(background, "c")
					require.NoError(t, err)
				}
				lift(t, path, c.lift)
				_, err = s.Recover(background)
				require.NoError(t, err)
				create(t, s, "a", someFiles(3, "a"))
				_, err = s.Delete(background, "a", "b")
				require.NoError(t, err)
				assert.Empty(t, leftovers(path))
			})
		}
	}
}

// run runs a program that has to be there and to succeed.
func run(t *testing.T, program string, arguments ...string) {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("skipped, because there is no %s", program)
	}
	output, err := exec.Command(path, arguments...).CombinedOutput()
	require.NoError(t, err, "%s", output)
}

// What was moved and cannot be removed, or can be neither, is not among what Load
// finished, and every error names the layer that it is about (REVIEW B6).
func TestLoadReportsWhatIsGone(t *testing.T) {
	refuse := refused{}
	s, path := newStore(t, refuse.options()...)
	for _, id := range []string{"a", "b", "c"} {
		create(t, s, id, someFiles(3, id))
	}
	for _, id := range []string{"a", "b", "c"} {
		setFlag(t, path, id)
	}
	stuck := filepath.Join(path, "vfs/dir/b")
	broken := kernel.HookFunc(func(c *kernel.Call) error {
		if c.Method == kernel.StageDeletion && c.Name == stuck || c.Method == kernel.OpenDirectory && c.Name == "b" {
			return unix.EIO
		}
		return nil
	})
	other := openStore(t, path, layerstore.WithoutRecovery(), kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), broken)))
	finished, err := other.Load(background)
	require.ErrorIs(t, err, unix.EIO)
	assert.Equal(t, []string{"a", "c"}, finished)
	assert.ErrorContains(t, err, "layer b")
	assert.NotContains(t, err.Error(), "layer a")
	finished, err = s.Load(background)
	require.NoError(t, err)
	assert.Equal(t, []string{"b"}, finished)

	create(t, s, "d", someFiles(3, "d"))
	setFlag(t, path, "d")
	refuse["Kernel.RemoveEntry"] = unix.EIO
	finished, err = s.Load(background)
	_, again := s.Recover(background)
	require.ErrorIs(t, again, layerstore.ErrLeftover)
	clear(refuse)
	require.ErrorIs(t, err, unix.EIO)
	assert.Empty(t, finished, "moved, and still on the disk")
	report, err := s.Recover(background)
	require.NoError(t, err)
	assert.Empty(t, report.Finished)
	assert.Empty(t, leftovers(path))
}

// Who wants the id of a layer that was left flagged and cannot be moved aside gets
// it: the layer is removed where it is, and so is what was left of its descendants,
// without which its record cannot go.
func TestIDOfWhatCannotBeMoved(t *testing.T) {
	for _, driver := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay, layerstore.Direct} {
		s, path := newStore(t, append(refused{"Kernel.StageDeletion": unix.EXDEV}.options(), layerstore.WithDriver(driver))...)
		parents := map[string]string{"child": "a", "grandchild": "child"}
		for _, id := range []string{"a", "child", "grandchild", "other"} {
			_, err := s.Create(background, layerstore.Layer{ID: id, Parent: parents[id]}, someFiles(3, "old"))
			require.NoError(t, err)
		}
		for _, id := range []string{"a", "child", "grandchild", "other"} {
			setFlag(t, path, id)
		}
		create(t, s, "a", someFiles(3, "a"))
		assertWhole(t, s, "a", 3)
		text, err := os.ReadFile(filepath.Join(path, "layers.json"))
		require.NoError(t, err)
		assert.Equal(t, 1, bytes.Count(text, []byte(`"incomplete":true`)), "nobody wanted the other one: %s", text)
		assert.FileExists(t, filepath.Join(path, driver.Files(layerstore.Placed{ID: "other"}), "dir0/file0"))
		assert.NoDirExists(t, filepath.Join(path, driver.Files(layerstore.Placed{ID: "grandchild"})))
	}
}

// What is flagged and not there any more needs no instance: whoever saves next forgets it,
// although nothing could be moved aside.
func TestNothingNeedsNoInstance(t *testing.T) {
	for _, obstacle := range obstacles {
		refuse := refused{}
		for _, method := range obstacle {
			refuse[method] = unix.ENOSPC
		}
		for _, driver := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay} {
			s, path := newStore(t, layerstore.WithDriver(driver))
			create(t, s, "a", someFiles(3, "a"))
			for _, part := range []string{"overlay/l/*", "overlay/a", "vfs/dir/a"} {
				for _, path := range must(filepath.Glob(filepath.Join(path, part))) {
					require.NoError(t, os.RemoveAll(path))
				}
			}
			create(t, s, "other", someFiles(3, "other"))
			full := openStore(t, path, append(refuse.options(), layerstore.WithDriver(driver))...)
			setFlag(t, path, "a")
			require.NoError(t, full.Save(background, "other", map[string]string{"k": "v"}))
			text, err := os.ReadFile(filepath.Join(path, "layers.json"))
			require.NoError(t, err)
			assert.NotContains(t, string(text), `"incomplete":true`, "%v", obstacle)
			assertWhole(t, s, "other", 3)
		}
	}
}

// Who wants something of the store pays nothing for what others left: flagged
// layers are moved aside and released, never removed (REVIEW B7).
func TestNobodyPaysForOthers(t *testing.T) {
	for _, driver := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay, layerstore.Direct} {
		t.Run(driver.Name(), func(t *testing.T) {
			s, path := newStore(t, layerstore.WithDriver(driver))
			create(t, s, "keep", someFiles(3, "keep"))
			removed := 0
			c := &calls{before: func(_ int64, name string) error {
				if name == "Kernel.RemoveEntry" {
					removed++
				}
				return nil
			}}
			other := openStore(t, path, append(c.options(), layerstore.WithDriver(driver))...)
			for name, operation := range map[string]func() error{
				"save":  func() error { return other.Save(background, "keep", nil) },
				"mount": func() error { _, err := other.Mount(background, "keep"); return err },
				"create": func() error {
					_, err := other.Create(background, layerstore.Layer{ID: "old"}, layerstore.Empty())
					return err
				},
				"delete": func() error { _, err := other.Delete(background, "old"); return err },
			} {
				t.Run(name, func(t *testing.T) {
					if name == "delete" {
						create(t, s, "other", someFiles(9, "other"))
						create(t, s, "old", layerstore.Empty())
						setFlag(t, path, "other")
					} else {
						create(t, s, "old", someFiles(9, "old"))
						setFlag(t, path, "old")
					}
					removed = 0
					require.NoError(t, operation())
					assert.Less(t, removed, 9, "its own entries alone")
					report, err := s.Recover(background)
					require.NoError(t, err)
					assert.Equal(t, 1, report.Roots[filepath.Join(path, "tempdirs")].Count(tempdir.Recovered))
					if name == "create" {
						_, err = s.Delete(background, "old")
						require.NoError(t, err)
					}
				})
			}
			assert.Len(t, leftovers(path), map[layerstore.Driver]int{layerstore.VFS: 1, layerstore.Overlay: 2, layerstore.Direct: 1}[driver])
		})
	}
}

// Who asks whether a layer is being removed where it is does not seem to do it: two
// who ask at a time do not see each other (REVIEW B8).
func TestAskingAboutAClaimTakesNothing(t *testing.T) {
	claims := 0
	disk := &watchful{kernel.LinuxDisk(), func(r kernel.ByteRange) {
		if r.Offset > 0 {
			claims++
		}
	}}
	s, path := newStore(t, kernel.WithDisk[layerstore.Option](disk))
	create(t, s, "a", someFiles(3, "a"))
	setFlag(t, path, "a")
	create(t, s, "a", someFiles(3, "a"))
	setFlag(t, path, "a")
	_, err := s.Load(background)
	require.NoError(t, err)
	assert.Zero(t, claims)
}

type watchful struct {
	kernel.Disk
	taken func(kernel.ByteRange)
}

func (w *watchful) TakeLock(fd int, r kernel.ByteRange) error {
	w.taken(r)
	return w.Disk.TakeLock(fd, r)
}
