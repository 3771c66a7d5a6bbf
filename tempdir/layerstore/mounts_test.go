//go:build linux

package layerstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A mount above the root and the layers that comes or goes between the look at one
// and the look at the other does not put them on two.
func TestMountsThatComeAndGo(t *testing.T) {
	path := scratch(t)
	root, home := filepath.Join(path, "root"), filepath.Join(path, "home")
	require.NoError(t, os.Mkdir(root, 0o700))
	require.NoError(t, os.Mkdir(home, 0o700))
	testfs.Bind(t, path, path) // or the test is skipped
	ended := make(chan error)
	go func() {
		var err error
		for n := 0; err == nil && n < 1000; n++ {
			if err = unix.Mount(path, path, "", unix.MS_BIND, ""); err == nil {
				err = unix.Unmount(path, unix.MNT_DETACH)
			}
		}
		ended <- err
	}()
	for looks, refused := 0, 0; ; looks++ {
		select {
		case err := <-ended:
			require.NoError(t, err)
			assert.Zero(t, refused, "of %d", looks)
			testfs.Bind(t, home, home)
			assert.False(t, layerstore.Movable(root, home))
			return
		default:
		}
		if !layerstore.Movable(root, home) {
			refused++
		}
	}
}

func TestMountedLayersAreNotDeleted(t *testing.T) {
	for _, driver := range layouts {
		t.Run(driver.Name(), func(t *testing.T) {
			s, path := newStore(t, layerstore.WithDriver(driver))
			create(t, s, "a", someFiles(3, "a"))
			where, err := s.Mount(background, "a")
			require.NoError(t, err)
			_, err = openStore(t, path).Delete(background, "a")
			assert.ErrorIs(t, err, layerstore.ErrMounted)
			assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
			require.NoError(t, s.Unmount(background, "a"))
			require.ErrorIs(t, s.Unmount(background, "a"), layerstore.ErrNotMounted)

			t.Run("in the kernel's table", func(t *testing.T) {
				outside := scratch(t)
				require.NoError(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600))
				testfs.Bind(t, outside, filepath.Join(where, "dir1"))
				_, err = s.Delete(background, "a")
				assert.ErrorIs(t, err, layerstore.ErrMounted)
				assert.Contains(t, err.Error(), "dir1")
				assert.FileExists(t, filepath.Join(outside, "precious"))
			})
			assertWhole(t, s, "a", 3)
			_, err = s.Delete(background, "a")
			require.NoError(t, err)
			assert.Empty(t, leftovers(path))
		})
	}
}

// Who cannot read the kernel's table of mounts now, for want of a descriptor, does
// not delete what may be mounted; who cannot tell which boot this is opens nothing.
func TestMountsThatCannotBeReadNow(t *testing.T) {
	var before unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &before))
	allow := func(limit uint64) {
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: before.Max}))
	}
	defer allow(before.Cur)
	want := func(err error, path string) {
		t.Helper()
		allow(before.Cur)
		assert.ErrorIs(t, err, unix.EMFILE)
		assert.ErrorContains(t, err, path)
		assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
	}
	s, path := newStore(t)
	create(t, s, "a", someFiles(3, "a"))

	scarce := false // but for calls of the store that open something
	s = openStore(t, path,
		kernel.WithDisk[layerstore.Option](kernel.AroundDisk(kernel.LinuxDisk(), func(method, _ string) error {
			if allow(before.Cur); scarce && method != "OpenLock" && method != "ReadMetadata" {
				allow(0)
			}
			return nil
		})),
		kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), kernel.HookFunc(func(*kernel.Call) error { allow(before.Cur); return nil }))))
	scarce = true
	_, err := s.Delete(background, "a")
	scarce = false
	want(err, "/proc/self/mountinfo")
	assertWhole(t, s, "a", 3)

	allow(0)
	_, err = layerstore.Open(path)
	want(err, "boot_id")
}

// Mount counts of another boot are not counted.
func TestMountsDoNotOutliveTheBoot(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", layerstore.Empty())
	_, err := s.Mount(background, "a")
	require.NoError(t, err)
	metadata := filepath.Join(path, "layers.json")
	text, err := os.ReadFile(metadata)
	require.NoError(t, err)
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	require.NoError(t, err)
	require.Contains(t, string(text), strings.TrimSpace(string(boot)))
	of := func(other string) {
		require.NoError(t, os.WriteFile(metadata, []byte(strings.Replace(string(text), strings.TrimSpace(string(boot)), other, 1)), 0o600))
	}
	of("") // by a process that had no /proc
	_, err = s.Delete(background, "a")
	require.ErrorIs(t, err, layerstore.ErrMounted)
	of("11111111-2222-3333-4444-555555555555")
	_, err = s.Delete(background, "a") // the same handle notices
	require.NoError(t, err)
}

// Whoever mounts the directory above a store upon itself, or takes such a mount away
// while the store is open, as engines do with a driver's home, stops nothing: layers
// are put, read and removed as before, by a rename.
func TestMountsAboveTheStoreComeAndGo(t *testing.T) {
	if !ownMounts(t) {
		return
	}
	for _, driver := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay} {
		for _, first := range []bool{false, true} {
			home := scratch(t)
			mount := func() { require.NoError(t, unix.Mount(home, home, "", unix.MS_BIND, "")) }
			unmount := func() { require.NoError(t, unix.Unmount(home, unix.MNT_DETACH)) }
			t.Cleanup(func() { _ = unix.Unmount(home, unix.MNT_DETACH) })
			change := mount
			if first {
				mount()
				change = unmount
			}
			s := openStore(t, filepath.Join(home, "store"), layerstore.WithDriver(driver))
			create(t, s, "before", someFiles(8, "before"))
			change()
			create(t, s, "after", someFiles(8, "after"))
			for _, id := range []string{"before", "after"} {
				_, err := s.ReadFile(background, id, "dir0/file0")
				require.NoError(t, err)
				deletion, err := s.Delete(background, id)
				require.NoError(t, err)
				require.Empty(t, deletion.InPlace)
			}
			require.Empty(t, leftovers(filepath.Join(home, "store")))
			_, err := s.Recover(background)
			require.NoError(t, err)
		}
	}
}
