//go:build linux

package layerstore_test

import (
	"errors"
	"fmt"
	"io"
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

// truncate truncates each file before it is unlinked, as a removal must not.
func truncate(c *kernel.Call) error {
	if c.Method != kernel.RemoveEntry {
		return nil
	}
	fd, err := unix.Openat(c.Dir, c.Name, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil // a symbolic link
	}
	defer unix.Close(fd)
	return unix.Ftruncate(fd, 1)
}

// hold reads as one who takes nothing along but descriptors does (spec: LockToRead,
// ListLocked, UnlockToRead): under the store lock it notes the files of the layer and
// opens every other one. Then the layer is deleted by another handle. It tells how many
// of the open files have all of their text, how many of them make a reflink that has,
// and how many of the rest are missing.
func hold(t *testing.T, dir string, driver layerstore.Driver, hooks ...kernel.Hook) string {
	k := kernel.Linux()
	for _, hook := range hooks {
		k = kernel.Around(k, hook)
	}
	s := openStore(t, filepath.Join(dir, "store"), layerstore.WithDriver(driver), kernel.With[layerstore.Option](k))
	const id, size = "layer", 50_000
	text := strings.Repeat(id, size/len(id))
	create(t, s, id, someFiles(6, text))
	var held []*os.File
	var noted []string
	var files *os.Root
	require.NoError(t, s.Read(background, id, func(names fs.FS) error {
		files = must(os.OpenRoot(must(s.Path(background, id))))
		return fs.WalkDir(names, ".", func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				if len(held) <= len(noted) {
					held = append(held, must(files.Open(path)))
				} else {
					noted = append(noted, path)
				}
			}
			return err
		})
	}))
	defer files.Close()
	_, err := s.Delete(background, id)
	require.NoError(t, err)
	assert.Empty(t, leftovers(filepath.Join(dir, "store")))
	whole, cloned, missing := 0, 0, 0
	isWhole := func(f io.ReaderAt) bool {
		return string(must(io.ReadAll(io.NewSectionReader(f, 0, 1<<30)))) == text
	}
	for _, f := range held {
		if isWhole(f) {
			whole++
		}
		clone := must(os.Create(filepath.Join(dir, "clone")))
		if err := unix.IoctlFileClone(int(clone.Fd()), int(f.Fd())); err == nil && isWhole(clone) {
			cloned++
		} else if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
			require.ErrorIs(t, err, unix.ENOTTY)
		}
		clone.Close()
		f.Close()
	}
	for _, path := range noted {
		if _, err := files.Open(path); errors.Is(err, fs.ErrNotExist) {
			missing++
		}
	}
	return fmt.Sprint("whole ", whole, " cloned ", cloned, " missing ", missing)
}

// What a reader holds of a layer stays whole while the layer is deleted, moved aside or
// where it is, and what it does not hold is missing, never half (spec: HeldWhole,
// ToldWhole). It sees a removal that truncates.
func TestReadersHoldALayerThatIsDeleted(t *testing.T) {
	inPlace := kernel.HookFunc(func(c *kernel.Call) error {
		if c.Method == kernel.StageDeletion {
			return unix.EXDEV
		}
		return nil
	})
	for _, driver := range layouts {
		for name, hooks := range map[string][]kernel.Hook{"moved aside": nil, "in place": {inPlace}} {
			dir := scratch(t)
			assert.Regexp(t, "^whole 3 cloned [03] missing 3$", hold(t, dir, driver, hooks...), "%s, %s", driver.Name(), name)
			assert.Equal(t, "whole 0 cloned 0 missing 3", hold(t, dir, driver, append(hooks, kernel.HookFunc(truncate))...))
		}
	}
	t.Run("reflinks", func(t *testing.T) {
		assert.Equal(t, "whole 3 cloned 3 missing 3", hold(t, testfs.Btrfs(t), layerstore.VFS))
	})
}
