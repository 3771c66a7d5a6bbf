//go:build linux

package layerstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// Metadata that no version of this package wrote is refused by path and reason, and
// neither it nor anything else is changed.
func TestDamagedMetadata(t *testing.T) {
	const short = `"short":"AAAAAAAAAAAAAAAAAAAAAAAAAA"`
	for _, c := range []struct {
		name, text string
		kind       error
		says       string
	}{
		{"empty", "", layerstore.ErrCorrupt, "unexpected end"},
		{"cut off", `{"version":1,"layers":[{"id":"a"`, layerstore.ErrCorrupt, "unexpected end"},
		{"another format", `[]`, layerstore.ErrCorrupt, "array"},
		{"no version", `{}`, layerstore.ErrCorrupt, "version 0"},
		{"a newer version of another shape", `{"version":2,"layers":"new"}`, layerstore.ErrNewerVersion, "version 2"},
		{"a newer version", `{"version":2}`, layerstore.ErrNewerVersion, "version 2"},
		{"an id that leads out", `{"version":1,"serial":1,"layers":[{"id":"../x","serial":1,"driver":"vfs",` + short + `}]}`, layerstore.ErrCorrupt, "../x"},
		{"an id twice", `{"version":1,"serial":2,"layers":[{"id":"a","serial":1,"driver":"vfs",` + short + `},{"id":"a","serial":2,"driver":"vfs",` + short + `}]}`, layerstore.ErrCorrupt, "twice"},
		{"no such parent", `{"version":1,"serial":1,"layers":[{"id":"a","parent":"b","serial":1,"driver":"vfs",` + short + `}]}`, layerstore.ErrCorrupt, "parent b"},
		{"its own parent", `{"version":1,"serial":1,"layers":[{"id":"a","parent":"a","serial":1,"driver":"vfs",` + short + `}]}`, layerstore.ErrCorrupt, "parent a"},
		{"no such layout", `{"version":1,"serial":1,"layers":[{"id":"a","serial":1,"driver":"zfs",` + short + `}]}`, layerstore.ErrCorrupt, "zfs"},
		{"a short name that leads out", `{"version":1,"serial":1,"layers":[{"id":"a","serial":1,"driver":"overlay","short":"../../../../../../../../xx"}]}`, layerstore.ErrCorrupt, "short name"},
		{"a serial from the future", `{"version":1,"serial":1,"layers":[{"id":"a","serial":9,"driver":"vfs",` + short + `}]}`, layerstore.ErrCorrupt, "serial"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, path := newStore(t)
			create(t, s, "a", someFiles(3, "a"))
			metadata := filepath.Join(path, "layers.json")
			require.NoError(t, os.WriteFile(metadata, []byte(c.text), 0o600))
			before := tree(t, path)
			_, err := layerstore.Open(path)
			require.ErrorIs(t, err, c.kind)
			assert.Contains(t, err.Error(), metadata)
			assert.Contains(t, err.Error(), c.says)
			_, err = s.Delete(background, "a") // the handle that is open notices, too
			require.ErrorIs(t, err, c.kind)
			_, err = s.Create(background, layerstore.Layer{ID: "b"}, layerstore.Empty())
			require.ErrorIs(t, err, c.kind)
			_, err = s.Recover(background)
			require.ErrorIs(t, err, c.kind)
			assert.Equal(t, before, tree(t, path))
		})
	}
}

// Flagging any number of layers takes no block more: a deletion on a full disk
// depends on it.
func TestFlagsNeedNoRoom(t *testing.T) {
	sizes := map[int]bool{}
	for labelBytes := range 500 {
		size := layerstore.EncodedSize(20, labelBytes, 0)
		sizes[size] = true
		for _, flagged := range []int{1, 7, 20} {
			require.Equal(t, size, layerstore.EncodedSize(20, labelBytes, flagged), "%d flags, %d bytes", flagged, labelBytes)
		}
	}
	assert.Greater(t, len(sizes), 2, "several numbers of blocks")
}

func TestNoStore(t *testing.T) {
	dir := scratch(t)
	for _, path := range []string{filepath.Join(dir, "nothing"), dir} {
		_, err := layerstore.Open(path)
		require.ErrorIs(t, err, os.ErrNotExist)
		assert.Contains(t, err.Error(), path)
	}
	assert.Empty(t, tree(t, dir), "without Make nothing is made")
	var failure *layerstore.Error
	_, err := layerstore.Open(filepath.Join(dir, "nothing"))
	require.True(t, errors.As(err, &failure))
	assert.Equal(t, layerstore.NoEffect, failure.Effect)
}

// Not being able to read the metadata now is no damage, and no reason to write any: a
// store that is opened while the disk fails keeps its layers.
func TestMetadataThatCannotBeReadNow(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", someFiles(3, "a"))
	for _, method := range []string{"StatMetadata", "ReadMetadata", "ReadToken", "OpenLock", "TakeLock"} {
		_, err := layerstore.Open(path, append(refused{"Disk." + method: unix.EMFILE}.options(), layerstore.Make(0o700))...)
		require.ErrorIs(t, err, unix.EMFILE)
		assert.NotErrorIs(t, err, layerstore.ErrCorrupt)
		assert.ErrorContains(t, err, path)
	}
	assertWhole(t, s, "a", 3)
}

// What is in place of the metadata or of its spare and cannot be either is
// refused, by name, at once, and stays.
func TestMetadataThatIsNoFile(t *testing.T) {
	for name, make := range map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"link":      func(path string) error { return os.Symlink("elsewhere", path) },
	} {
		t.Run(name, func(t *testing.T) {
			s, path := newStore(t)
			create(t, s, "a", someFiles(3, "a"))
			metadata, spare := filepath.Join(path, "layers.json"), filepath.Join(path, "layers.json.spare")
			require.NoError(t, os.Remove(spare))
			require.NoError(t, make(spare))
			before := tree(t, path)
			err := s.Save(background, "a", map[string]string{"k": "v"})
			require.Error(t, err)
			assert.Contains(t, err.Error(), spare)
			assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
			assert.Equal(t, before, tree(t, path))

			require.NoError(t, os.Remove(metadata))
			require.NoError(t, make(metadata))
			before = tree(t, path)
			_, err = layerstore.Open(path, layerstore.Make(0o700))
			require.ErrorIs(t, err, layerstore.ErrCorrupt)
			assert.Contains(t, err.Error(), metadata)
			assert.Equal(t, before, tree(t, path))
		})
	}
}

// A backup of hard links keeps what it says: no save writes over a file that has
// another name, however it is made.
func TestBackupOfHardLinks(t *testing.T) {
	for _, exchange := range []error{nil, unix.EINVAL} {
		s, path := newStore(t)
		create(t, s, "a", someFiles(3, "a"))
		s = openStore(t, path, refused{"Disk.Replace": exchange}.options()...)
		backup := scratch(t)
		for _, name := range []string{"layers.json", "layers.json.spare"} {
			require.NoError(t, os.Link(filepath.Join(path, name), filepath.Join(backup, name)))
		}
		before := tree(t, backup)
		for _, value := range []string{"1", "2", "3", "4"} {
			require.NoError(t, s.Save(background, "a", label(value)))
			assert.Equal(t, value, labels(t, path))
		}
		assert.True(t, slices.Equal(before, tree(t, backup)), "the backup") // whose texts are long
	}
}

// lateError is a disk that exchanges two names and fails.
type lateError struct{ kernel.Disk }

func (d lateError) Replace(spare, path string) error {
	if err := d.Disk.Replace(spare, path); err != nil {
		return err
	}
	return unix.EIO
}

// labels reads what the layer a says, through a handle that sees no cache.
func labels(t testing.TB, path string) string {
	t.Helper()
	layer, err := openStore(t, path, layerstore.WithoutRecovery()).Layer(background, "a")
	require.NoError(t, err)
	return layer.Labels["k"]
}

func label(value string) map[string]string { return map[string]string{"k": value} }

// Whatever refuses the exchange of the two files, a store is saved, by processes
// that can exchange and others in turn.
func TestSaveWithoutExchange(t *testing.T) {
	for _, errno := range []error{unix.ENOSPC, unix.EDQUOT, unix.EINVAL, unix.EPERM, unix.EACCES, unix.ENOSYS, unix.EOPNOTSUPP, unix.EXDEV, unix.EBUSY, unix.EIO, unix.ENOKEY, unix.ENAMETOOLONG} {
		t.Run(errno.Error(), func(t *testing.T) {
			s, path := newStore(t)
			create(t, s, "a", layerstore.Empty())
			refused := openStore(t, path, refused{"Disk.Replace": errno}.options()...)
			for i, store := range []*layerstore.Store{refused, refused, s, refused, s, s, refused} {
				value := strings.Repeat(fmt.Sprint(i), 1+i%3*5000)
				require.NoError(t, store.Save(background, "a", label(value)))
				assert.Equal(t, value, labels(t, path))
				layer, err := s.Layer(background, "a")
				require.NoError(t, err)
				assert.Equal(t, value, layer.Labels["k"], "a cache notices")
			}
			deletion, err := refused.Delete(background, "a")
			require.NoError(t, err)
			assert.Empty(t, deletion.InPlace)
		})
	}
	t.Run("which happened all the same", func(t *testing.T) {
		s, path := newStore(t)
		create(t, s, "a", layerstore.Empty())
		broken := openStore(t, path, kernel.WithDisk[layerstore.Option](lateError{kernel.LinuxDisk()}))
		err := broken.Save(background, "a", label("x"))
		require.ErrorIs(t, err, unix.EIO)
		assert.Equal(t, layerstore.MayHaveEffect, layerstore.EffectOf(err))
		assert.Equal(t, "x", labels(t, path))
		require.NoError(t, s.Save(background, "a", label("y")))
		assert.Equal(t, "y", labels(t, path))
	})
	t.Run("and the file cannot be written over", func(t *testing.T) {
		s, path := newStore(t)
		create(t, s, "a", layerstore.Empty())
		for exchange, want := range map[unix.Errno]unix.Errno{unix.EPERM: unix.EPERM, unix.EIO: unix.EIO, unix.EINVAL: unix.EACCES, unix.ENOSYS: unix.EACCES} {
			refused := openStore(t, path, refused{"Disk.Replace": exchange, "Disk.Writable": unix.EACCES}.options()...)
			err := refused.Save(background, "a", label("x"))
			require.ErrorIs(t, err, want, "an exchange that is not there is no reason")
			assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
		}
		require.NoError(t, s.Save(background, "a", label("y")), "nothing is in anybody's way")
		assert.Equal(t, "y", labels(t, path))
	})
}

// A save by mark that was cut off, and its metadata file taken away: the next save makes it
// anew first, and goes over that.
func TestSaveOverAMetadataFileThatIsGone(t *testing.T) {
	refuse := refused{}
	s, path := newStore(t, refuse.options()...)
	create(t, s, "base", someFiles(1, "base"))
	refuse["Disk.Replace"], refuse["Disk.ReadMetadata"] = unix.EINVAL, unix.EINVAL // which ends it after the mark
	require.NoError(t, s.Save(background, "base", label("new")))
	delete(refuse, "Disk.ReadMetadata")
	require.NoError(t, os.Remove(filepath.Join(path, "layers.json")))
	require.NoError(t, openStore(t, path, refuse.options()...).Save(background, "base", label("newer")))
	layer, err := openStore(t, path).Layer(background, "base")
	require.NoError(t, err)
	require.Equal(t, label("newer"), layer.Labels)
}
