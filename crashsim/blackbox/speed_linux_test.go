//go:build amd64 || arm64

package blackbox

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// rounds does the work b.N times on two workers.
func rounds(b *testing.B, do func(c *campaign, w *worker, i int) error) *campaign {
	b.Helper()
	c, _ := newCampaign(b)
	c.close()
	dir, err := os.MkdirTemp(memory(), "afterlock-box-")
	require.NoError(b, err)
	b.Cleanup(func() { os.RemoveAll(dir) })
	c.workers, c.Workers = nil, 2
	require.NoError(b, c.openWorkers(dir))
	b.ResetTimer()
	require.NoError(b, c.every(b.Context(), b.N, func(w *worker, i int) error { return do(c, w, i) }))
	require.Empty(b, c.report.Problems)
	return c
}

// A crash point is a process stopped before a mutating call, and the recovery of
// a copy of the disk by another process.
func BenchmarkCrashPoints(b *testing.B) {
	serving := programs()[:5]
	c := rounds(b, func(c *campaign, w *worker, i int) error {
		_, err := c.traceProgram(w, &serving[i%len(serving)])
		return err
	})
	b.ReportMetric(float64(c.report.CrashPoints)/b.Elapsed().Seconds(), "points/s")
}

// A kill is a SIGKILL, the start of the next process, and a recovery.
func BenchmarkKills(b *testing.B) {
	p := programs()[0]
	c := rounds(b, func(c *campaign, w *worker, i int) error {
		t, err := c.traceProgram(w, &p)
		if err != nil {
			return err
		}
		for k := range t.calls {
			if err := c.killProgram(w, t, k+1); err != nil {
				return err
			}
		}
		return nil
	})
	b.ReportMetric(float64(c.report.Kills)/b.Elapsed().Seconds(), "kills/s")
}

func BenchmarkSchedules(b *testing.B) {
	contest := findContest("tempdir-delete")
	rounds(b, func(c *campaign, w *worker, i int) error {
		m, problems, err := w.playRandom(contest, rand.New(rand.NewPCG(1, uint64(i))))
		if err != nil {
			return err
		}
		c.problems(m.schedule(), problems)
		return nil
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "schedules/s")
}
