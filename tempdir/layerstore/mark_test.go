//go:build linux

package layerstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
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

// noExchange is a disk that refuses to exchange two names.
type noExchange struct {
	kernel.Disk
	errno error
}

func (d noExchange) Replace(string, string) error { return d.errno }

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
			refused := openStore(t, path, kernel.WithDisk[layerstore.Option](noExchange{kernel.LinuxDisk(), errno}))
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
		refused := openStore(t, path, kernel.WithDisk[layerstore.Option](kernel.AroundDisk(noExchange{kernel.LinuxDisk(), unix.EPERM}, func(method, _ string) error {
			if method == "Writable" {
				return unix.EPERM
			}
			return nil
		})))
		err := refused.Save(background, "a", label("x"))
		require.ErrorIs(t, err, unix.EPERM)
		assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
		require.NoError(t, s.Save(background, "a", label("y")), "nothing is in anybody's way")
		assert.Equal(t, "y", labels(t, path))
	})
	t.Run("a backup of hard links keeps what it says", func(t *testing.T) {
		s, path := newStore(t)
		create(t, s, "a", layerstore.Empty())
		want := map[string][]byte{}
		for _, name := range []string{"layers.json", "layers.json.spare"} {
			require.NoError(t, os.Link(filepath.Join(path, name), filepath.Join(path, name+".backup")))
			want[name+".backup"] = must(os.ReadFile(filepath.Join(path, name)))
		}
		refused := openStore(t, path, kernel.WithDisk[layerstore.Option](noExchange{kernel.LinuxDisk(), unix.EINVAL}))
		for _, value := range []string{"1", "2", "3"} {
			require.NoError(t, refused.Save(background, "a", label(value)))
			assert.Equal(t, value, labels(t, path))
		}
		for name, content := range want {
			assert.Equal(t, content, must(os.ReadFile(filepath.Join(path, name))), name)
		}
	})
}

var errKilled = errors.New("killed")

// A mortal disk makes n more calls and then none: what a killed process does.
// The last write of all is made half.
type mortal struct {
	kernel.Disk
	left int
	full bool // names cannot be exchanged
}

// dies counts a call.
func (d *mortal) dies() bool { d.left--; return d.left < 0 }

func (d *mortal) WriteSpare(path string, data []byte) (int, error) {
	if d.dies() {
		if d.left == -1 {
			writeHalf(path, data)
		}
		return -1, errKilled
	}
	return d.Disk.WriteSpare(path, data)
}

func (d *mortal) SyncSpare(fd int) error {
	if d.dies() {
		return errKilled
	}
	return d.Disk.SyncSpare(fd)
}

func (d *mortal) WriteToken(fd int, t kernel.Token) error {
	if d.dies() {
		return errKilled
	}
	return d.Disk.WriteToken(fd, t)
}

func (d *mortal) Replace(spare, path string) error {
	if d.dies() {
		return errKilled
	}
	if d.full {
		return unix.ENOSPC
	}
	return d.Disk.Replace(spare, path)
}

func (d *mortal) SyncDirectory(path string) error {
	if d.dies() {
		return errKilled
	}
	return d.Disk.SyncDirectory(path)
}

// torn is where a write of metadata breaks off: in the middle of the label.
func torn(data []byte) int {
	if at := bytes.Index(data, []byte(`"k":"`)); at >= 0 {
		return at + len(`"k":"`) + 2
	}
	return len(data) / 3
}

func writeHalf(path string, data []byte) {
	f := must(os.OpenFile(path, os.O_WRONLY, 0))
	must(f.Write(data[:torn(data)]))
	must(0, f.Close())
}

// A process that dies at any call of a save, in the middle of a write too, leaves
// the old metadata or the new, whole; so does one that dies while it saves next.
func TestKilledInASaveWithoutExchange(t *testing.T) {
	const calls = 14
	outcomes := map[string]int{}
	s, origin := newStore(t)
	create(t, s, "a", layerstore.Empty())
	require.NoError(t, s.Save(background, "a", label("old")))
	require.NoError(t, s.Close())
	for first := range calls {
		for second := range calls {
			for _, full := range []bool{true, false} {
				path := filepath.Join(scratch(t), "store")
				require.NoError(t, os.CopyFS(path, os.DirFS(origin)))
				die := func(left int, full bool, value string) (took bool) {
					d := &mortal{kernel.LinuxDisk(), 1000, full}
					s := must(layerstore.Open(path, layerstore.WithoutRecovery(), kernel.WithDisk[layerstore.Option](d)))
					defer s.Close()
					d.left = left
					return s.Save(background, "a", label(value)) == nil
				}
				took := die(first, true, "new")
				one := labels(t, path)
				require.Contains(t, []string{"old", "new"}, one, "killed before call %d", first)
				if took {
					require.Equal(t, "new", one)
				}
				took = die(second, full, "newer")
				two := labels(t, path)
				require.Contains(t, []string{one, "newer"}, two, "killed before calls %d and %d", first, second)
				if took {
					require.Equal(t, "newer", two)
				}
				outcomes[one+" "+two]++
				alive := openStore(t, path, kernel.WithDisk[layerstore.Option](&mortal{kernel.LinuxDisk(), 1000, full}))
				require.NoError(t, alive.Save(background, "a", label("last")))
				require.Equal(t, "last", labels(t, path))
			}
		}
	}
	assert.Len(t, outcomes, 4, "%v", outcomes)
}

// On a btrfs with neither data nor metadata left, where an exchange of names is
// refused and an unlink is not, layers are deleted and the space comes back (FIELD 8).
func TestDeletionOnAFullBtrfs(t *testing.T) {
	for _, driver := range layouts {
		t.Run(driver.Name(), func(t *testing.T) {
			if testing.Short() {
				t.Skip("skipped, because filling a disk with names takes seconds")
			}
			mounted := testfs.Btrfs(t)
			path := filepath.Join(mounted, "store")
			s := openStore(t, path, layerstore.WithDriver(driver))
			create(t, s, "keep", someFiles(3, "keep"))
			create(t, s, "a", someFiles(30, strings.Repeat("a", 3000)))
			create(t, s, "b", someFiles(30, strings.Repeat("b", 3000)))
			testfs.Fill(t, filepath.Join(mounted, "filler"), false)
			names := filepath.Join(mounted, "names")
			require.NoError(t, os.Mkdir(names, 0o700))
			for n, failed := 0, 0; failed < 50; n++ {
				f, err := os.Create(filepath.Join(names, fmt.Sprintf("%0200d", n)))
				if err != nil {
					require.ErrorIs(t, err, unix.ENOSPC)
					failed++
					continue
				}
				f.Close()
			}
			require.NoError(t, exec.Command("sync", "-f", mounted).Run())
			deletion, err := s.Delete(background, "a")
			require.NoError(t, err)
			t.Logf("in place: %v", deletion.InPlace)
			_, err = s.Delete(background, "b")
			require.NoError(t, err)
			assert.Equal(t, []string{"keep"}, checkKept(t, path))
		})
	}
}
