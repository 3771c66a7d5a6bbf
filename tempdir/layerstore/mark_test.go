//go:build linux

package layerstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

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
		refused := openStore(t, path, refused{"Disk.Replace": unix.EPERM, "Disk.Writable": unix.EPERM}.options()...)
		err := refused.Save(background, "a", label("x"))
		require.ErrorIs(t, err, unix.EPERM)
		assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
		require.NoError(t, s.Save(background, "a", label("y")), "nothing is in anybody's way")
		assert.Equal(t, "y", labels(t, path))
	})
}
