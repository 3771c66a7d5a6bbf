//go:build linux

package layerstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A watch adds up how long a store waits for the disk: for its metadata and for other
// names, under its lock and without.
type watch struct {
	kernel.Disk
	path   string
	waited map[string]time.Duration
}

func (w *watch) sync(what string, do func() error) error {
	if heldForWriting(w.path, 0, 1) {
		what += "-locked"
	}
	begun := time.Now()
	err := do()
	w.waited[what] += time.Since(begun)
	return err
}

func (w *watch) SyncSpare(fd int) error {
	return w.sync("save", func() error { return w.Disk.SyncSpare(fd) })
}

func (w *watch) SyncDirectory(path string) error {
	what := "names"
	if path == w.path {
		what = "save"
	}
	return w.sync(what, func() error { return w.Disk.SyncDirectory(path) })
}

func (w *watch) SyncContent(path string) error {
	return w.sync("content", func() error { return w.Disk.SyncContent(path) })
}

func (w *watch) Before(c *kernel.Call) error {
	if c.Method == kernel.SyncData { // the kernel's own is another one, of what this one wrote already
		return w.sync("names", func() error { return kernel.Linux().SyncData(c.Fd) })
	}
	return nil
}

func (w *watch) After(*kernel.Call) {}

// How long a durable layer and its deletion wait for the disk: what durability costs. The
// images of file systems are in the directory of TMPDIR.
func BenchmarkWaitsForTheDisk(b *testing.B) {
	for name, dir := range map[string]func(testing.TB) string{
		"here": func(b testing.TB) string { return b.TempDir() }, "xfs": testfs.Xfs, "btrfs": testfs.Btrfs,
		"ext4": func(b testing.TB) string { return testfs.Ext4(b, testfs.Ext4Options{}) },
	} {
		b.Run(name, func(b *testing.B) {
			w := &watch{Disk: kernel.LinuxDisk(), path: filepath.Join(dir(b), "store"), waited: map[string]time.Duration{}}
			s := openStore(b, w.path, layerstore.WithDriver(layerstore.Overlay), layerstore.Sync(),
				kernel.WithDisk[layerstore.Option](w), kernel.With[layerstore.Option](kernel.Around(kernel.Linux(), w)))
			total := map[string]time.Duration{}
			count := func(what string) {
				for of, waited := range w.waited {
					total[what+"-"+of+"-ms/op"] += waited
				}
				clear(w.waited)
			}
			clear(w.waited)
			for b.Loop() {
				create(b, s, "a", someFiles(30, "a"))
				count("commit")
				_, err := s.Delete(background, "a")
				require.NoError(b, err)
				count("delete")
			}
			for unit, waited := range total {
				b.ReportMetric(waited.Seconds()*1000/float64(b.N), unit)
			}
		})
	}
}
