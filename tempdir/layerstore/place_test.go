//go:build linux

package layerstore_test

import (
	"archive/tar"
	"fmt"
	"io/fs"
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

// free returns the free blocks and inodes of the file system.
func free(t *testing.T, dir string) (blocks, inodes uint64) {
	var s unix.Statfs_t
	require.NoError(t, unix.Statfs(dir, &s))
	return s.Bfree, s.Ffree
}

// Wherever in an archive the disk is full, that is what is wrong, and not the archive.
func TestArchiveOnAFullDisk(t *testing.T) {
	entries := []tar.Header{
		dir("directory/a"), file("file/a", "content"), hardlink("link/a", "file/a"), symlink("symlink/a", "nowhere"),
		{Typeflag: tar.TypeFifo, Name: "fifo/a"}, file("whiteout/.wh.a", ""), file("opaque/.wh..wh..opq", ""),
	}
	for _, driver := range layouts {
		t.Run(driver.Name(), func(t *testing.T) {
			mounted := testfs.Tmpfs(t, "nr_inodes=100")
			s := openStore(t, filepath.Join(mounted, "store"), layerstore.WithDriver(driver))
			create(t, s, "parent", someFiles(1, "parent"))
			filler := filepath.Join(mounted, "filler")
			for left := 0; ; left++ {
				testfs.Fill(t, filler, true)
				for n := range left {
					require.NoError(t, os.Remove(filepath.Join(filler, fmt.Sprint(n))))
				}
				_, err := s.Create(background, layerstore.Layer{ID: "new", Parent: "parent"}, layerstore.Tar(archive(entries...)))
				require.NoError(t, os.RemoveAll(filler))
				if err == nil {
					require.Greater(t, left, 2*len(entries))
					return
				}
				require.ErrorIs(t, err, unix.ENOSPC, "%d inodes", left)
				require.NotErrorIs(t, err, layerstore.ErrBadContent)
			}
		})
	}
}

// A deletion needs neither a block nor an inode (F22), and the space comes back.
func TestDeletionOnAFullDisk(t *testing.T) {
	for _, disk := range []struct {
		name   string
		make   func(testing.TB) string
		inodes bool
	}{
		{"tmpfs without blocks", func(t testing.TB) string { return testfs.Tmpfs(t, "size=2m") }, false},
		{"tmpfs without inodes", func(t testing.TB) string { return testfs.Tmpfs(t, "nr_inodes=120") }, true},
		{"ext4 without blocks", func(t testing.TB) string { return testfs.Ext4(t, testfs.Ext4Options{MiB: 8}) }, false},
		{"ext4 without inodes", func(t testing.TB) string { return testfs.Ext4(t, testfs.Ext4Options{MiB: 8, Inodes: 160}) }, true},
		{"xfs without blocks", func(t testing.TB) string { return testfs.Xfs(t) }, false},
		{"btrfs without blocks", func(t testing.TB) string { return testfs.Btrfs(t) }, false},
	} {
		for _, driver := range layouts {
			t.Run(disk.name+"/"+driver.Name(), func(t *testing.T) {
				mounted := disk.make(t)
				path := filepath.Join(mounted, "store")
				s := openStore(t, path, layerstore.WithDriver(driver))
				create(t, s, "keep", someFiles(3, "keep"))
				for _, id := range []string{"a", "b", "c"} {
					create(t, s, id, someFiles(9, strings.Repeat(id, 3000)))
				}
				testfs.Fill(t, filepath.Join(mounted, "filler"), disk.inodes)
				blocks, inodes := free(t, mounted)

				// A creation fails, and leaves everything as it was.
				_, err := s.Create(background, layerstore.Layer{ID: "new"}, someFiles(9, strings.Repeat("n", 3000)))
				require.ErrorIs(t, err, unix.ENOSPC)
				assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))

				deletion, err := s.Delete(background, "a", "b")
				require.NoError(t, err)
				t.Logf("in place: %v", deletion.InPlace)
				for _, in := range deletion.InPlace {
					assert.ErrorIs(t, in.Reason, unix.ENOSPC)
				}
				afterBlocks, afterInodes := free(t, mounted)
				if disk.inodes {
					assert.NotEmpty(t, deletion.InPlace, "no inode for an instance")
					assert.Greater(t, afterInodes, inodes+18)
				} else if !strings.HasPrefix(disk.name, "btrfs") { // it frees later
					assert.Greater(t, afterBlocks, blocks+4)
				}
				assert.Equal(t, []string{"keep", "c"}, listIDs(t, s))
				_, err = s.Delete(background, "c")
				require.NoError(t, err)
				assert.Equal(t, []string{"keep"}, checkKept(t, path))
			})
		}
	}
}

// checkKept opens the store again and wants nothing but the layer keep, whole.
func checkKept(t *testing.T, path string) []string {
	t.Helper()
	s := openStore(t, path)
	report, err := s.Recover(background)
	require.NoError(t, err)
	assert.Empty(t, report.Unrecorded)
	assertWhole(t, s, "keep", 3)
	want := []string{"vfs/dir/keep"}
	left := leftovers(path)
	if len(left) == 2 { // overlay
		want = []string{"overlay/keep", left[1]}
	}
	assert.Equal(t, want, left)
	return listIDs(t, s)
}

// Where the directory of layers is not there, a disk may not be mounted: nothing is
// known about the layers in it, and none of them is gone.
func TestDiskOfLayersThatIsNotThere(t *testing.T) {
	for _, driver := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay, layerstore.Direct} {
		for _, staging := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/staging %t", driver.Name(), staging), func(t *testing.T) {
				refuse := refused{}
				images := filepath.Join(scratch(t), "images")
				s, path := newStore(t, append(refuse.options(), layerstore.WithDriver(driver), layerstore.ImageStore(images))...)
				_, err := s.Create(background, layerstore.Layer{ID: "a", Image: true}, someFiles(3, "a"))
				require.NoError(t, err)
				create(t, s, "b", someFiles(3, "b"))
				layers := filepath.Join(images, driver.Name())
				require.NoError(t, os.Rename(layers, layers+".unmounted"))
				if !staging {
					refuse["Kernel.StageDeletion"] = unix.EXDEV
				}
				_, err = s.Delete(background, "b", "a")
				require.ErrorIs(t, err, layerstore.ErrDamaged)
				require.ErrorIs(t, err, fs.ErrNotExist)
				assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
				assert.ErrorContains(t, err, layers)
				require.Equal(t, []string{"a", "b"}, listIDs(t, s))
				setFlag(t, path, "a") // flagged before the disk went away
				for range 2 {
					report, err := s.Recover(background)
					require.ErrorIs(t, err, layerstore.ErrLeftover)
					assert.NotContains(t, report.Finished, "a")
				}
				create(t, s, "c", layerstore.Empty()) // nobody else is held up
				require.NoError(t, os.Rename(layers+".unmounted", layers))
				report, err := s.Recover(background)
				require.NoError(t, err)
				assert.Equal(t, []string{"a"}, report.Finished)
				assert.Empty(t, leftovers(images))
			})
		}
	}
}

// A revenant is a file system like fuse-overlayfs, which shows what is below a
// directory that was moved away.
type revenant struct{ path string }

func (*revenant) Before(*kernel.Call) error { return nil }

func (r *revenant) After(c *kernel.Call) {
	switch {
	case c.Method == kernel.OpenRoot:
		c.Ordered = false
	case c.Method == kernel.StageDeletion:
		must(0, os.MkdirAll(filepath.Join(r.path, "below"), 0o700))
	}
}

func TestNameThatShowsAgain(t *testing.T) {
	hook := &revenant{}
	s, path := newStore(t, kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), hook)))
	create(t, s, "a", someFiles(3, "a"))
	hook.path = filepath.Join(path, "vfs/dir/a")
	deletion, err := s.Delete(background, "a")
	require.NoError(t, err)
	require.Len(t, deletion.InPlace, 1)
	assert.ErrorContains(t, deletion.InPlace[0].Reason, "is still there")
	assert.Empty(t, leftovers(path))
}
