//go:build linux

package layerstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
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
			child := proc.Start(t, "staged", path, "stale")
			require.Equal(t, "staged", child.Says(t))
			child.Kill()
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
	path := filepath.Join(t.TempDir(), "store")
	s, err := layerstore.Open(path, layerstore.Make(0o755))
	require.NoError(t, err)
	create(t, s, "a", someFiles(3, "a"))
	create(t, s, "private", layerstore.Empty())
	require.NoError(t, os.Chmod(filepath.Join(path, "vfs/dir/private"), 0o700))
	for _, name := range []string{"store.lock", "layers.json"} {
		require.NoError(t, os.Chmod(filepath.Join(path, name), 0o644))
	}
	for _, name := range []string{"", "vfs", "vfs/dir", "vfs/dir/a", "tempdirs"} {
		require.NoError(t, os.Chmod(filepath.Join(path, name), 0o755))
	}
	testfs.Reachable(t, filepath.Dir(path))
	if os.Geteuid() != 0 {
		t.Skip("skipped, because another user is needed")
	}
	cmd := proc.New("reader", path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 12345, Gid: 12345}}
	output, err := cmd.Output()
	if errors.Is(err, syscall.EACCES) {
		t.Skip("skipped, because other users may not run this program: it was built under umask 077")
	}
	require.NoError(t, err)
	assert.Equal(t, "a no effect true; true false\n", string(output))
}

func init() {
	proc.Register("reader", func(arguments []string) {
		s := must(layerstore.Open(arguments[0]))
		content := must(s.ReadFile(background, "a", "dir0/file0"))
		err := s.Save(background, "a", nil)
		_, unreadable := s.ReadFile(background, "private", "file")
		fmt.Printf("%s %v %t; %t %t\n", content, layerstore.EffectOf(err), errors.Is(err, os.ErrPermission),
			errors.Is(unreadable, os.ErrPermission), errors.Is(unreadable, layerstore.ErrDamaged))
	})
}
