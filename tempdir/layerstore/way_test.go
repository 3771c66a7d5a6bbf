//go:build linux

package layerstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A thing can be in the way of a path. put makes it there; outside is a directory
// with something precious, which nobody may touch.
type thing struct {
	name string
	put  func(t *testing.T, path, outside string)
}

var things = []thing{
	{"nothing", func(*testing.T, string, string) {}},
	{"file", func(t *testing.T, path, _ string) { require.NoError(t, os.WriteFile(path, []byte("x"), 0o600)) }},
	{"empty directory", func(t *testing.T, path, _ string) { require.NoError(t, os.Mkdir(path, 0o700)) }},
	{"directory", func(t *testing.T, path, _ string) { require.NoError(t, os.MkdirAll(path+"/diff/sub", 0o700)) }},
	{"link to a directory", func(t *testing.T, path, outside string) { require.NoError(t, os.Symlink(outside, path)) }},
	{"link to a file", func(t *testing.T, path, outside string) {
		require.NoError(t, os.Symlink(outside+"/precious", path))
	}},
	{"dangling link", func(t *testing.T, path, outside string) { require.NoError(t, os.Symlink(outside+"/none", path)) }},
	{"link to itself", func(t *testing.T, path, outside string) { require.NoError(t, os.Symlink(filepath.Base(path), path)) }},
	{"fifo", func(t *testing.T, path, _ string) { require.NoError(t, unix.Mkfifo(path, 0o600)) }},
	{"mount", func(t *testing.T, path, outside string) {
		require.NoError(t, os.Mkdir(path, 0o700))
		bind(t, outside, path)
	}},
	{"mounted file", func(t *testing.T, path, outside string) {
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		bind(t, outside+"/precious", path)
	}},
	{"immutable directory", func(t *testing.T, path, _ string) {
		require.NoError(t, os.MkdirAll(path+"/sub", 0o700))
		immutable(t, path, true)
	}},
}

// bind mounts in a namespace of the test's own, see ownMounts.
func bind(t *testing.T, from, to string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped, because mounting needs root")
	}
	require.NoError(t, unix.Mount(from, to, "", unix.MS_BIND, ""))
}

// inodeOf tells one thing from another at the same path.
func inodeOf(t *testing.T, path string) [2]uint64 {
	t.Helper()
	var s syscall.Stat_t
	require.NoError(t, syscall.Lstat(path, &s))
	return [2]uint64{s.Ino, uint64(s.Mode)}
}

func precious(t *testing.T) (outside string, intact func()) {
	outside = scratch(t)
	require.NoError(t, os.WriteFile(filepath.Join(outside, "precious"), []byte("precious"), 0o600))
	before := tree(t, outside)
	return outside, func() { t.Helper(); assert.Equal(t, before, tree(t, outside)) }
}

// remove removes a thing that was put.
func remove(t *testing.T, path string) {
	t.Helper()
	unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		if fs, err := os.ReadDir(path); err == nil && len(fs) == 1 && fs[0].Name() == "sub" {
			immutable(t, path, false)
		}
	}
	require.NoError(t, os.RemoveAll(path))
}

// What is in the way of a new layer is not touched, whatever it is; it may have come
// in the last moment.
func TestWhatIsInTheWayOfALayer(t *testing.T) {
	if os.Geteuid() == 0 && !ownMounts(t) {
		return
	}
	for _, driver := range layouts {
		for part := range driver.Parts(layerstore.Placed{ID: "a"}) {
			for _, thing := range things {
				for _, late := range []bool{false, true} {
					if !late && part == 0 && driver == layerstore.Overlay || late && (thing.name == "nothing" || thing.name == "empty directory" || part == 0 && driver == layerstore.Overlay) {
						continue // the short name is drawn
					}
					name := driver.Name() + "/" + thing.name
					if late {
						name += " in the last moment"
					}
					t.Run(name, func(t *testing.T) {
						outside, intact := precious(t)
						dir := scratch(t)
						path := filepath.Join(dir, "store")
						s := openStore(t, path, layerstore.WithDriver(driver))
						create(t, s, "keep", someFiles(3, "keep"))
						home := filepath.Join(path, driver.Parts(layerstore.Placed{ID: "a"})[part])
						if late {
							done := false
							beforeCommit := kernel.HookFunc(func(c *kernel.Call) error {
								if c.Method == kernel.Commit && !done {
									done = true
									thing.put(t, home, outside)
								}
								return nil
							})
							s = openStore(t, path, layerstore.WithDriver(driver), kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), beforeCommit)))
						} else {
							thing.put(t, home, outside)
							s = openStore(t, path, layerstore.WithDriver(driver), kernel.WithDisk[layerstore.Option](kernel.AroundDisk(kernel.LinuxDisk(), func(method, _ string) error {
								assert.False(t, method == "Replace" && thing.name != "nothing", "a flag would let others remove it after a crash")
								return nil
							})))
						}
						defer remove(t, home)
						_, err := s.Create(background, layerstore.Layer{ID: "a"}, someFiles(3, "a"))
						if thing.name == "nothing" {
							require.NoError(t, err)
							return
						}
						require.ErrorIs(t, err, layerstore.ErrUnrecorded)
						require.ErrorContains(t, err, home)
						assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
						s = openStore(t, path, layerstore.WithDriver(driver))
						before := inodeOf(t, home)
						report, err := s.Recover(background)
						require.NoError(t, err)
						assert.Equal(t, []string{home}, report.Unrecorded)
						assert.Equal(t, before, inodeOf(t, home), "the same thing")
						assert.Equal(t, []string{"keep"}, listIDs(t, s))
						intact()
						remove(t, home)
						create(t, s, "a", someFiles(3, "a"))
						assertWhole(t, s, "a", 3)
					})
				}
			}
		}
	}
}

// What is in the place of a layer's part goes with the layer, by its own name alone:
// no link is followed, no mount is touched, and what cannot be removed is left until
// it can be.
func TestWhatIsInThePlaceOfALayer(t *testing.T) {
	if os.Geteuid() == 0 && !ownMounts(t) {
		return
	}
	for _, driver := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay, layerstore.Direct} {
		for part := range driver.Parts(layerstore.Placed{ID: "a"}) {
			for _, thing := range things {
				for _, moved := range []bool{true, false} {
					name := driver.Name() + "/" + thing.name
					if !moved {
						name += " that is not moved"
					}
					t.Run(name, func(t *testing.T) {
						outside, intact := precious(t)
						path := filepath.Join(scratch(t), "store")
						refuse := refused{}
						s := openStore(t, path, append(refuse.options(), layerstore.WithDriver(driver))...)
						create(t, s, "keep", someFiles(3, "keep"))
						layer, err := s.Create(background, layerstore.Layer{ID: "a"}, someFiles(3, "a"))
						require.NoError(t, err)
						require.NotEmpty(t, layer.ID)
						home := filepath.Join(path, driver.Parts(layerstore.Placed{ID: "a", Short: shortOf(t, path, "a")})[part])
						require.NoError(t, os.RemoveAll(home))
						if thing.put(t, home, outside); thing.name == "nothing" && driver != layerstore.Overlay {
							_, err = s.ReadFile(background, "a", "dir0/file0")
							assert.ErrorIs(t, err, layerstore.ErrDamaged)
						}
						if !moved {
							refuse["Kernel.StageDeletion"] = unix.ENOSPC
						}
						_, err = s.Delete(background, "a")
						switch thing.name {
						case "mount", "mounted file":
							require.ErrorIs(t, err, layerstore.ErrMounted)
							require.ErrorContains(t, err, home)
							assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
							intact()
							require.NoError(t, unix.Unmount(home, unix.UMOUNT_NOFOLLOW))
							_, err = s.Delete(background, "a")
						case "immutable directory":
							require.ErrorIs(t, err, tempdir.ErrImmutable)
							assert.Equal(t, layerstore.TookEffect, layerstore.EffectOf(err))
							immutable(t, home, false)
							_, err = s.Recover(background)
						}
						require.NoError(t, err)
						intact()
						_, err = s.Recover(background)
						require.NoError(t, err)
						assert.Equal(t, []string{"keep"}, listIDs(t, s))
						assertWhole(t, s, "keep", 3)
						_, err = os.Lstat(home)
						require.ErrorIs(t, err, os.ErrNotExist)
					})
				}
			}
		}
	}
}

// shortOf returns the short name of a layer in layout overlay, or "".
func shortOf(t *testing.T, path, id string) string {
	t.Helper()
	short, err := os.ReadFile(filepath.Join(path, "overlay", id, "link"))
	if os.IsNotExist(err) {
		return ""
	}
	require.NoError(t, err)
	return string(short)
}

// What is in the way of the store's own files is told by name at once, and left as
// it is; when it is gone, everything is there.
func TestWhatIsInTheWayOfTheStore(t *testing.T) {
	if os.Geteuid() == 0 && !ownMounts(t) {
		return
	}
	text := string(must(os.ReadFile("../../docs/names.md")))
	var heads []string
	for _, thing := range things {
		heads = append(heads, thing.name)
	}
	assert.Contains(t, text, "| | "+strings.Join(heads, " | ")+" |\n")
	for _, name := range []string{"store.lock", "layers.json", "layers.json.spare", "tempdirs", "vfs", "vfs/dir"} {
		row := "| `" + name + "` |"
		for _, thing := range things {
			if thing.name == "nothing" && name == "layers.json" {
				row += " makes another |" // who asks for a store to be made gets one
				continue
			}
			t.Run(name+"/"+thing.name, func(t *testing.T) {
				outside, intact := precious(t)
				dir := scratch(t)
				path := filepath.Join(dir, "store")
				s := openStore(t, path)
				create(t, s, "a", someFiles(3, "a"))
				require.NoError(t, s.Close())
				at, aside := filepath.Join(path, name), filepath.Join(dir, "aside")
				require.NoError(t, os.Rename(at, aside))
				thing.put(t, at, outside)
				defer func() { remove(t, at) }()
				operate := func() error {
					s, err := layerstore.Open(path, layerstore.Make(0o700))
					if err != nil {
						return err
					}
					defer s.Close()
					if _, err := s.Recover(background); err != nil {
						return err
					}
					if _, err := s.Create(background, layerstore.Layer{ID: "b"}, someFiles(3, "b")); err != nil {
						return err
					}
					if err := s.Save(background, "a", label("x")); err != nil {
						return err
					}
					_, err = s.Delete(background, "b") // through a link, too
					return err
				}
				err := operate()
				row += " " + wordOf(err) + " |"
				if err != nil {
					require.ErrorContains(t, err, at)
					assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
				}
				if !(thing.name == "mount" || thing.name == "link to a directory") {
					intact() // a directory of layers may be somewhere else
				}
				assert.FileExists(t, filepath.Join(outside, "precious"))
				remove(t, at)
				require.NoError(t, os.Rename(aside, at))
				again := openStore(t, path)
				assert.Contains(t, listIDs(t, again), "a")
				assertWhole(t, again, "a", 3)
			})
		}
		if os.Geteuid() == 0 { // who else cannot put everything there
			assert.Contains(t, text, row+"\n", "docs/names.md says something else of %s", name)
		}
	}
}

// wordOf is what an operation came to, in one word.
func wordOf(err error) string {
	var errno syscall.Errno
	switch {
	case err == nil:
		return "works"
	case errors.Is(err, layerstore.ErrCorrupt):
		return "corrupt"
	case errors.Is(err, tempdir.ErrCrossDevice):
		return "other mount"
	case errors.As(err, &errno):
		return unix.ErrnoName(errno)
	}
	return err.Error()
}

// The short name of a layer in layout overlay is drawn, and something may have it
// all the same.
func TestWhatIsInTheWayOfAShortName(t *testing.T) {
	if os.Geteuid() == 0 && !ownMounts(t) {
		return
	}
	for _, thing := range things[1:] {
		t.Run(thing.name, func(t *testing.T) {
			outside, intact := precious(t)
			path := filepath.Join(scratch(t), "store")
			home := ""
			c := &calls{before: func(_ int64, name string) error {
				drawn, err := filepath.Glob(filepath.Join(path, "tempdirs/temp-dir-*/1-addition/link"))
				require.NoError(t, err)
				if home == "" && len(drawn) == 1 && name == "Disk.OpenLock" { // it is built
					home = filepath.Join(path, "overlay/l", string(must(os.ReadFile(drawn[0]))))
					thing.put(t, home, outside)
				}
				return nil
			}}
			s := openStore(t, path, append(c.options(), layerstore.WithDriver(layerstore.Overlay))...)
			_, err := s.Create(background, layerstore.Layer{ID: "a"}, someFiles(3, "a"))
			require.ErrorIs(t, err, layerstore.ErrUnrecorded)
			assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
			require.NotEmpty(t, home)
			before := inodeOf(t, home)
			report, err := openStore(t, path).Recover(background)
			require.NoError(t, err)
			assert.Equal(t, []string{home}, report.Unrecorded)
			assert.Equal(t, before, inodeOf(t, home))
			assert.NoDirExists(t, filepath.Join(path, "overlay/a"))
			intact()
			remove(t, home)
		})
	}
}

// What layouts, and other engines, have beside the layers is no layer without a record.
func TestReservedNamesAreNotReported(t *testing.T) {
	for _, driver := range layouts {
		s, path := newStore(t, layerstore.WithDriver(driver))
		create(t, s, "a", layerstore.Empty())
		home := filepath.Join(path, driver.Directories()[0])
		for _, name := range []string{"l", "dir", "tempdirs", "staging", "tmp"} {
			require.NoError(t, os.MkdirAll(filepath.Join(home, name), 0o700))
			_, err := s.Create(background, layerstore.Layer{ID: name}, layerstore.Empty())
			require.ErrorIs(t, err, layerstore.ErrBadID)
		}
		require.NoError(t, os.Mkdir(filepath.Join(home, "b"), 0o700))
		report, err := s.Recover(background)
		require.NoError(t, err)
		assert.Equal(t, []string{filepath.Join(home, "b")}, report.Unrecorded)
	}
}
