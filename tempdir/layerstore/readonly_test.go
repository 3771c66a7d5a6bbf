//go:build linux

package layerstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A store on a read-only file system can be read, whatever of it is missing or was
// left behind; nothing else can be done with it, and says why (FIELD 35).
func TestStoreOnAReadOnlyFileSystem(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		stale   bool
	}{
		{"as it is", func(*testing.T, string) {}, false},
		{"without a lock file", func(t *testing.T, path string) {
			require.NoError(t, os.Remove(filepath.Join(path, "store.lock")))
		}, false},
		{"without a root", func(t *testing.T, path string) {
			require.NoError(t, os.RemoveAll(filepath.Join(path, "tempdirs")))
		}, false},
		{"in the middle of a save", func(t *testing.T, path string) {
			refuse := refused{}
			s := openStore(t, path, append(refuse.options(), layerstore.WithoutRecovery())...)
			refuse["Disk.Replace"], refuse["Disk.ReadMetadata"] = unix.EINVAL, unix.EINVAL // which ends a save by mark
			require.NoError(t, s.Save(background, "base", label("new")))
			require.NoError(t, os.WriteFile(filepath.Join(path, "layers.json"), []byte(`{"version":1,"ser`), 0o600))
		}, false},
		{"with something to recover", func(t *testing.T, path string) {
			s := openStore(t, path)
			create(t, s, "flagged", someFiles(3, "x"))
			create(t, s, "stale", someFiles(3, "x"))
			staged(t, path, "stale").Kill()
			setFlag(t, path, "flagged")
		}, true},
	} {
		for _, driver := range layouts {
			t.Run(c.name+"/"+driver.Name(), func(t *testing.T) {
				s, path := newStore(t, layerstore.WithDriver(driver))
				create(t, s, "base", someFiles(3, "base"))
				_, err := s.Create(background, layerstore.Layer{ID: "app", Parent: "base"}, someFiles(3, "app"))
				require.NoError(t, err)
				c.prepare(t, path)
				testfs.ReadOnly(t, path)
				before := tree(t, path)
				for _, options := range [][]layerstore.Option{
					{layerstore.WithoutRecovery()}, {}, {layerstore.Make(0o700)},
				} {
					s, err := layerstore.Open(path, append(options, layerstore.WithDriver(driver))...)
					require.NoError(t, err)
					assert.Equal(t, []string{"base", "app"}, listIDs(t, s))
					assertWhole(t, s, "base", 3)
					files, err := s.Path(background, "app")
					require.NoError(t, err)
					assert.DirExists(t, files)
					_, err = s.Layer(background, "none")
					require.ErrorIs(t, err, layerstore.ErrLayerUnknown)
					if c.name == "in the middle of a save" {
						layer, err := s.Layer(background, "base")
						require.NoError(t, err)
						assert.Equal(t, "new", layer.Labels["k"])
					}
					_, err = s.Recover(background)
					if c.stale {
						require.ErrorIs(t, err, unix.EROFS)
					} else {
						require.NoError(t, err)
					}
					for name, change := range map[string]func() error{
						"create": func() error {
							_, err := s.Create(background, layerstore.Layer{ID: "new"}, layerstore.Empty())
							return err
						},
						"delete": func() error { _, err := s.Delete(background, "app"); return err },
						"save":   func() error { return s.Save(background, "app", nil) },
						"mount":  func() error { _, err := s.Mount(background, "app"); return err },
					} {
						err := change()
						if c.name == "without a lock file" && name != "create" {
							require.ErrorIs(t, err, os.ErrNotExist, name)
						} else {
							require.ErrorIs(t, err, unix.EROFS, name)
						}
						require.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err), name)
					}
					require.NoError(t, s.Close())
				}
				assert.Equal(t, before, tree(t, path))
			})
		}
	}
}

// Who may read the store, and not write to it, reads it, and shares the lock.
func TestReaderWithoutPermissionToWrite(t *testing.T) {
	reads := func(t *testing.T) {
		s, path := newStore(t)
		create(t, s, "a", someFiles(3, "a"))
		create(t, s, "private", layerstore.Empty())
		for name, mode := range map[string]os.FileMode{"store.lock": 0o444, "layers.json": 0o444, "vfs/dir/private": 0, "tempdirs": 0o500, ".": 0o500} {
			at := filepath.Join(path, name)
			require.NoError(t, os.Chmod(at, mode))
			t.Cleanup(func() { os.Chmod(at, 0o700) })
		}
		reader, err := layerstore.Open(path)
		require.NoError(t, err)
		defer reader.Close()
		assertWhole(t, reader, "a", 3)
		err = reader.Save(background, "a", nil)
		require.ErrorIs(t, err, os.ErrPermission)
		assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
		_, err = reader.ReadFile(background, "private", "file")
		require.ErrorIs(t, err, os.ErrPermission)
		assert.NotErrorIs(t, err, layerstore.ErrDamaged)
	}
	if os.Geteuid() != 0 {
		reads(t)
		return
	}
	testfs.Without(t, testfs.Lack{User: 12345}, reads)
}
