package powerloss

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
)

// Whatever was in the image before, it becomes what the power loss left, and only
// images that are the same have the same sum.
func TestReplayerMakesTheImageAnew(t *testing.T) {
	t.Run("here", func(t *testing.T) { makesTheImageAnew(t, t.TempDir()) })
	t.Run("blocks smaller than pages", func(t *testing.T) { makesTheImageAnew(t, testfs.Ext4(t, testfs.Ext4Options{MiB: 16})) })
}

func makesTheImageAnew(t *testing.T, dir string) {
	const size, places = 64 * pageSize, 64 * pageSize / sector
	random := rand.New(rand.NewPCG(1, 2))
	image, err := os.Create(filepath.Join(dir, "image"))
	require.NoError(t, err)
	defer image.Close()
	require.NoError(t, image.Truncate(size))
	shown, err := unix.Mmap(int(image.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	defer func() { assert.NoError(t, unix.Munmap(shown)) }()
	data := func(n int) []byte { return bytes.Repeat([]byte{byte(random.IntN(4))}, n) }
	r := &Replayer{image: image, shown: shown, size: size, base: []run{{2 * pageSize, data(3 * pageSize)}, {size - pageSize, data(pageSize)}}}
	for range 60 {
		e := Entry{Flush: random.IntN(8) == 0}
		if random.IntN(4) > 0 {
			at := random.Int64N(places)
			e.Offset, e.Size = at*sector, (1+random.Int64N(min(20, places-at)))*sector
			if random.IntN(3) > 0 {
				e.Data = data(int(e.Size))
			}
		}
		r.log = append(r.log, e)
	}
	sums := make(map[uint64]string)
	images := make(map[string]bool)
	for range 150 {
		c := Cut{At: random.IntN(len(r.log) + 1)}
		open, err := r.durable(c)
		require.NoError(t, err)
		want := make([]byte, size)
		for _, p := range r.base {
			copy(want[p.offset:], p.data)
		}
		for i, e := range r.log[:c.At] {
			if i >= open && e.Size > 0 && random.IntN(3) == 0 {
				c.Lost = append(c.Lost, i)
			} else if clear(want[e.Offset : e.Offset+e.Size]); e.Size > 0 {
				copy(want[e.Offset:], e.Data)
			}
		}
		sum, err := r.make(c)
		require.NoError(t, err)
		require.Equal(t, string(want), string(shown), "%+v", c)
		if before, is := sums[sum]; is {
			require.Equal(t, before, string(want), "one sum for two images")
		}
		sums[sum], images[string(want)] = string(want), true
		for range 5 { // what the kernel does to it then
			_, err := image.WriteAt(data(sector), sector*random.Int64N(places))
			require.NoError(t, err)
		}
	}
	assert.Len(t, sums, len(images), "a sum for each image")
	one := pages{}
	one.write(0, 2*pageSize, bytes.Repeat([]byte{1}, 2*pageSize))
	assert.NotEqual(t, one[0].sum, one[pageSize].sum, "the same data elsewhere")
	assert.Greater(t, len(images), 50)
}

// A page that is in use is forgotten, too: those of a read that is under way are.
func TestNothingOfTheStateBeforeIsSeen(t *testing.T) {
	f, err := FileSystemOf("ext4")
	require.NoError(t, err)
	if err := f.Available(); errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("skipped: %v", err)
	}
	const size = 16 * pageSize
	image, err := os.Create(filepath.Join(t.TempDir(), "image"))
	require.NoError(t, err)
	defer image.Close()
	require.NoError(t, image.Truncate(size))
	device, err := attach(image)
	require.NoError(t, err)
	defer device.Close()
	used, err := unix.Mmap(int(device.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	defer func() { assert.NoError(t, unix.Munmap(used)) }()
	for round := range byte(4) {
		require.NoError(t, forget(device))
		state := bytes.Repeat([]byte{round}, size)
		_, err := image.WriteAt(state, 0)
		require.NoError(t, err)
		require.Equal(t, state[0], used[0])
		seen, err := io.ReadAll(io.NewSectionReader(device, 0, size))
		require.NoError(t, err)
		require.True(t, bytes.Equal(state, seen), "state %d", round)
	}
}
