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

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

const (
	heldFiles = 6
	heldText  = 50_000 // bytes of each file
)

func init() {
	// holder STORE ID CLONE: a reader in another process (spec: LockToRead,
	// ListLocked, UnlockToRead). Under the store lock it notes the files of the
	// layer and opens every other one; then it says so, waits for a line, and says
	// how many of these have all of their text, how many of them make a reflink
	// that has, and how many of the rest are missing.
	proc.Register("holder", func(arguments []string) {
		s := must(layerstore.Open(arguments[0], layerstore.WithoutRecovery()))
		id, clone := arguments[1], arguments[2]
		var held []*os.File
		var noted []string
		var dir *os.Root
		if err := s.Read(background, id, func(files fs.FS) error {
			dir = must(os.OpenRoot(must(s.Path(background, id))))
			return fs.WalkDir(files, ".", func(path string, entry fs.DirEntry, err error) error {
				switch {
				case err != nil || entry.IsDir():
					return err
				case len(held) <= len(noted):
					held = append(held, must(dir.Open(path)))
				default:
					noted = append(noted, path)
				}
				return nil
			})
		}); err != nil {
			panic(err)
		}
		fmt.Println("holds", len(held), "and noted", len(noted))
		must(proc.Parent.Line())
		whole, cloned, missing := 0, 0, 0
		isWhole := func(f io.ReaderAt) bool {
			text := must(io.ReadAll(io.NewSectionReader(f, 0, 1<<30)))
			return string(text) == strings.Repeat(id, heldText/len(id))
		}
		for _, f := range held {
			if isWhole(f) {
				whole++
			}
			copied := must(os.Create(clone))
			switch err := unix.IoctlFileClone(int(copied.Fd()), int(f.Fd())); {
			case err == nil && isWhole(copied):
				cloned++
			case err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOTTY):
				panic(err)
			}
			copied.Close()
		}
		for _, path := range noted {
			if _, err := dir.Open(path); errors.Is(err, fs.ErrNotExist) {
				missing++
			}
		}
		fmt.Println("whole", whole, "cloned", cloned, "missing", missing)
	})
}

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

// What a reader in another process holds of a layer stays whole while the layer is
// deleted, moved aside or where it is, and what it does not hold is missing, never
// half (spec: HeldWhole, ToldWhole). It sees a removal that truncates.
func TestReadersHoldALayerThatIsDeleted(t *testing.T) {
	inPlace := &refusals{[]kernel.Method{kernel.StageDeletion}, unix.EXDEV}
	held := func(t *testing.T, dir string, driver layerstore.Driver, hooks ...kernel.Hook) string {
		path := filepath.Join(dir, "store")
		k := kernel.Linux()
		for _, hook := range hooks {
			k = kernel.Around(k, hook)
		}
		s := openStore(t, path, layerstore.WithDriver(driver), kernel.With[layerstore.Option](k))
		const id = "layer"
		create(t, s, id, someFiles(heldFiles, strings.Repeat(id, heldText/len(id))))
		reader := proc.Start(t, "holder", path, id, filepath.Join(dir, "clone"))
		require.Equal(t, "holds 3 and noted 3", reader.Says(t))
		_, err := s.Delete(background, id)
		require.NoError(t, err)
		assert.Empty(t, leftovers(t, path))
		require.NoError(t, reader.Say("go on"))
		return reader.Says(t)
	}
	for _, driver := range layouts {
		for name, hooks := range map[string][]kernel.Hook{"moved aside": nil, "in place": {inPlace}} {
			t.Run(driver.Name()+", "+name, func(t *testing.T) {
				dir := scratch(t)
				assert.Regexp(t, "^whole 3 cloned [03] missing 3$", held(t, dir, driver, hooks...))
				assert.Equal(t, "whole 0 cloned 0 missing 3", held(t, dir, driver, append(hooks, kernel.HookFunc(truncate))...))
			})
		}
	}
	t.Run("reflinks", func(t *testing.T) {
		assert.Equal(t, "whole 3 cloned 3 missing 3", held(t, testfs.Btrfs(t), layerstore.VFS))
	})
}
