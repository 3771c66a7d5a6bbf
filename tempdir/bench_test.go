//go:build linux

package tempdir_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// makeFiles makes a layer of empty files, 100 in a directory.
func makeFiles(b *testing.B, path string, files int) {
	require.NoError(b, os.Mkdir(path, 0o755))
	for i := range files {
		if i%100 == 0 {
			require.NoError(b, os.Mkdir(filepath.Join(path, fmt.Sprint(i/100)), 0o755))
		}
		require.NoError(b, unix.Mknod(filepath.Join(path, fmt.Sprint(i/100), fmt.Sprint(i)), unix.S_IFREG|0o644, 0))
	}
}

// What callers do often, each with what it needs made before and not measured.
func BenchmarkOperations(b *testing.B) {
	aged := kernel.WithClock[tempdir.Option](func() time.Time { return time.Now().Add(time.Hour) })
	for _, c := range []struct {
		name  string
		files int // in the layer
		do    func(root *tempdir.Root, layer string) error
	}{
		{"create and close", 0, func(root *tempdir.Root, _ string) error {
			dir, err := root.Create()
			if err != nil {
				return err
			}
			return dir.Close(background)
		}},
		{"delete a layer of 1000 files", 1000, func(root *tempdir.Root, layer string) error {
			dir, err := root.Create()
			if err != nil {
				return err
			}
			return errors.Join(dir.StageDeletion(layer), dir.Close(background))
		}},
		{"remove 1000 files in place", 1000, func(_ *tempdir.Root, layer string) error { return tempdir.Remove(background, layer) }},
		{"recover nothing", 0, func(root *tempdir.Root, _ string) error {
			_, err := root.Recover(background)
			return err
		}},
		{"maybe dirty", 0, func(root *tempdir.Root, _ string) error {
			_, err := root.MaybeDirty()
			return err
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			root := openRoot(b, aged)
			layer := beside(root, "layer")
			_, err := root.MaybeDirty()
			require.NoError(b, err)
			_, err = root.Recover(background)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if c.files > 0 {
					b.StopTimer()
					makeFiles(b, layer, c.files)
					b.StartTimer()
				}
				if err := c.do(root, layer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// How long a store that deletes a layer holds its lock: ours, and with the
// removal under the lock. Reported as lock-ns/op; ns/op is the whole deletion,
// without making the layer.
func BenchmarkLockHold(b *testing.B) {
	for _, files := range []int{10, 1000, 100_000} {
		for _, c := range []struct {
			name   string
			delete func(root *tempdir.Root, layer string) (held time.Duration, err error)
		}{
			{"afterlock", func(root *tempdir.Root, layer string) (time.Duration, error) {
				dir, err := root.Create()
				if err != nil {
					return 0, err
				}
				locked := time.Now()
				err = dir.StageDeletion(layer)
				held := time.Since(locked)
				if err != nil {
					return 0, err
				}
				return held, dir.Close(background)
			}},
			{"RemoveAll", func(_ *tempdir.Root, layer string) (time.Duration, error) {
				locked := time.Now()
				err := os.RemoveAll(layer)
				return time.Since(locked), err
			}},
		} {
			b.Run(fmt.Sprintf("files=%d/%s", files, c.name), func(b *testing.B) {
				root := openRoot(b)
				layer := beside(root, "layer")
				var held time.Duration
				for b.Loop() {
					b.StopTimer()
					makeFiles(b, layer, files)
					b.StartTimer()
					h, err := c.delete(root, layer)
					if err != nil {
						b.Fatal(err)
					}
					held += h
				}
				b.ReportMetric(float64(held.Nanoseconds())/float64(b.N), "lock-ns/op")
			})
		}
	}
}
