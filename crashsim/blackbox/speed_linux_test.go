package blackbox

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// benchWorker is a worker in memory.
func benchWorker(b *testing.B) *worker {
	dir, err := os.MkdirTemp("/dev/shm", "afterlock-box-")
	if err != nil {
		b.Skipf("skipped, because there is no tmpfs: %v", err)
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	binaries, err := buildBinaries(b.Context(), dir)
	require.NoError(b, err)
	w, err := newWorker(dir+"/worker", processors()[0], binaries)
	require.NoError(b, err)
	b.Cleanup(w.close)
	b.Cleanup(w.occupy())
	return w
}

func BenchmarkStartAndKill(b *testing.B) {
	w := benchWorker(b)
	before := w.super.stops
	for b.Loop() {
		d, err := w.driver("tempdir")
		require.NoError(b, err)
		w.kill(d)
	}
	b.ReportMetric(float64(w.super.stops-before)/float64(b.N), "stops/op")
}

func BenchmarkDelete(b *testing.B) {
	w := benchWorker(b)
	p := programs()[0]
	before := w.super.stops
	for b.Loop() {
		require.NoError(b, w.prepare(p.scene))
		d, err := w.begin(&p)
		require.NoError(b, err)
		_, _, err = w.finish(d)
		require.NoError(b, err)
		_, err = w.look()
		require.NoError(b, err)
	}
	b.ReportMetric(float64(w.super.stops-before)/float64(b.N), "stops/op")
}
