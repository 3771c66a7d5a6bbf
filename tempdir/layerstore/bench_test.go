//go:build linux

package layerstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A lockWatch is a Disk that measures how long the store lock is held for writing.
type lockWatch struct {
	kernel.Disk
	fd    int
	since time.Time
	held  time.Duration
	times int
}

func (w *lockWatch) TakeLock(fd int, r kernel.ByteRange) error {
	err := w.Disk.TakeLock(fd, r)
	if err == nil && r.Offset == 0 && r.Exclusive {
		w.fd, w.since = fd, time.Now()
	}
	return err
}

func (w *lockWatch) Close(fd int) error {
	err := w.Disk.Close(fd)
	if fd == w.fd && !w.since.IsZero() {
		w.held += time.Since(w.since)
		w.since = time.Time{}
		w.times++
	}
	return err
}

// benchDirectory is where benchmarks put their stores: AFTERLOCK_BENCH_DIR, or
// the directory for temporary files.
func benchDirectory(b *testing.B) string {
	if dir := os.Getenv("AFTERLOCK_BENCH_DIR"); dir != "" {
		made, err := os.MkdirTemp(dir, "layerstore-")
		require.NoError(b, err)
		b.Cleanup(func() { os.RemoveAll(made) })
		return made
	}
	return b.TempDir()
}

// emptyFiles makes a tree of n empty files, 100 in a directory.
func emptyFiles(b *testing.B, path string, n int) {
	for i := range n {
		sub := filepath.Join(path, fmt.Sprint(i/100))
		if i%100 == 0 {
			require.NoError(b, os.Mkdir(sub, 0o755))
		}
		require.NoError(b, unix.Mknod(filepath.Join(sub, fmt.Sprint(i)), unix.S_IFREG|0o644, 0))
	}
}

// How long a deletion holds the store lock: with the layouts that defer, and with
// the one that removes under the lock. lock-ns/op is the time under the lock,
// ns/op the whole deletion, without making the layers. 100 layers of 10,000 files
// are a million empty files, which take minutes to make: AFTERLOCK_BENCH_LARGE=1.
func BenchmarkDeletion(b *testing.B) {
	for _, layers := range []int{1, 10, 100} {
		files := 10_000
		if layers == 100 && os.Getenv("AFTERLOCK_BENCH_LARGE") == "" {
			files = 100
		}
		for _, driver := range []layerstore.Driver{layerstore.VFS, layerstore.Overlay, layerstore.Direct} {
			b.Run(fmt.Sprintf("layers=%d/files=%d/%s", layers, files, driver.Name()), func(b *testing.B) {
				watch := &lockWatch{Disk: kernel.LinuxDisk()}
				s, err := layerstore.Open(filepath.Join(benchDirectory(b), "store"),
					layerstore.Make(0o700), layerstore.WithDriver(driver), kernel.WithDisk[layerstore.Option](watch))
				require.NoError(b, err)
				defer s.Close()
				ids := make([]string, layers)
				total, rounds := time.Duration(0), 0
				for b.Loop() {
					b.StopTimer()
					for i := range ids {
						ids[i] = fmt.Sprintf("layer%d", i)
						_, err := s.Create(background, layerstore.Layer{ID: ids[i]}, layerstore.Empty())
						require.NoError(b, err)
						where, err := s.Path(background, ids[i])
						require.NoError(b, err)
						emptyFiles(b, where, files) // in place: making them is not what is measured
					}
					unix.Sync()
					watch.held, watch.times = 0, 0
					b.StartTimer()
					_, err := s.Delete(background, ids...)
					b.StopTimer()
					require.NoError(b, err)
					require.Equal(b, 1, watch.times, "the lock is taken once")
					total += watch.held
					rounds++
					b.StartTimer()
				}
				b.ReportMetric(float64(total.Nanoseconds())/float64(rounds), "lock-ns/op")
			})
		}
	}
}

// What a look costs a process that runs long, when there is nothing to do: the
// hint, the whole recovery, and reading the root's directory.
func BenchmarkNothingToRecover(b *testing.B) {
	path := filepath.Join(benchDirectory(b), "store")
	k := olderStamps{kernel.Linux()}
	s, err := layerstore.Open(path, layerstore.Make(0o700), kernel.With[layerstore.Option](k))
	require.NoError(b, err)
	defer s.Close()
	for i := range 20 {
		_, err := s.Create(background, layerstore.Layer{ID: fmt.Sprint("layer", i)}, layerstore.Empty())
		require.NoError(b, err)
	}
	root, err := tempdir.Open(filepath.Join(path, "tempdirs"), kernel.With[tempdir.Option](k))
	require.NoError(b, err)
	defer root.Close()
	dirty, err := root.MaybeDirty()
	require.NoError(b, err)
	require.True(b, dirty, "not known to be empty yet")
	_, err = root.Recover(context.Background())
	require.NoError(b, err)
	b.Run("Root.MaybeDirty", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if dirty, err := root.MaybeDirty(); dirty || err != nil {
				b.Fatal(dirty, err)
			}
		}
	})
	b.Run("Root.Recover", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := root.Recover(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("os.ReadDir", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := os.ReadDir(root.Path()); err != nil {
				b.Fatal(err)
			}
		}
	})
	layerstore.Look(s) // what Maintain does first
	layerstore.Look(s)
	b.Run("Store.MaybeDirty", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if s.MaybeDirty() {
				b.Fatal("dirty")
			}
		}
	})
	b.Run("Store.Recover", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.Recover(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// olderStamps is a kernel on which everything was changed an hour earlier, so
// that its time stamps can be trusted at once.
type olderStamps struct{ kernel.Kernel }

func (k olderStamps) Stat(fd int) (kernel.Attributes, error) {
	a, err := k.Kernel.Stat(fd)
	a.Changed = a.Changed.Add(-time.Hour)
	return a, err
}
