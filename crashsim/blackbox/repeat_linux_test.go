//go:build amd64 || arm64

package blackbox

import (
	"bytes"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
)

func TestAnErrorSaysWhereAndWhy(t *testing.T) {
	for _, tt := range []struct {
		answer string
		clear  bool
	}{
		{"error: close /scene/root/temp-dir-1: input/output error", true},
		{"error: close: input/output error", false},
		{"error: close /scene/root/temp-dir-1", false},
		{"", false},
	} {
		assert.Equal(t, tt.clear, saysWhereAndWhy(tt.answer, "/scene", unix.EIO), tt.answer)
	}
}

func TestAKillThatLeavesAnotherDiskThanTheCopyIsFound(t *testing.T) {
	c, w := newCampaign(t)
	p := programs()[3]
	traced, err := c.traceProgram(w, &p)
	require.NoError(t, err)
	last := len(traced.calls)
	require.NoError(t, c.killProgram(w, traced, last))
	require.Empty(t, c.report.Problems)
	traced.texts[last-1] = "another disk"
	require.NoError(t, c.killProgram(w, traced, last))
	require.Len(t, c.report.Problems, 1)
	assert.Contains(t, c.report.Problems[0], "and the copy there was")
}

// repeat replays the problem as its text says, and wants to see it again.
func repeat(t *testing.T, problem, wants string) {
	t.Helper()
	_, spec, ok := strings.Cut(problem, "; afterlock replay ")
	require.True(t, ok, problem)
	var out bytes.Buffer
	again := &campaign{Options: Options{Dir: testfs.InMemory(t), Workers: 1, Command: built.command}}
	problems, err := again.replay(t.Context(), spec, &out)
	assert.NoError(t, err)
	assert.Positive(t, problems)
	assert.Contains(t, out.String(), wants)
}

func TestAScheduleThatLosesDataRepeats(t *testing.T) {
	_, w := newCampaign(t)
	for _, name := range []string{"upstream-delete", "upstream-recovererrechecks-add"} {
		contest := findContest(name)
		took, schedule, err := w.untilLost(t.Context(), contest, 1, 1000)
		require.NoError(t, err)
		require.NotZero(t, took, name)
		repeat(t, "; afterlock replay "+played(contest, []byte(schedule)).String(), "problem: process O: error: ")
	}
}

// A kill with all that belongs to it: the scene made anew, a process started, stepped to
// a call and killed, the disk looked at, recovered by another process, and judged.
func BenchmarkKill(b *testing.B) {
	c, w := newCampaign(b)
	startAlone := func(int) error {
		d, err := w.driver("tempdir")
		if err == nil {
			w.kill(d)
		}
		return err
	}
	for _, name := range []string{"start alone", "delete", "deletechain-overlay"} {
		b.Run(name, func(b *testing.B) {
			kill := startAlone
			if p := findProgram(name); p != nil {
				traced, err := c.traceProgram(w, p)
				require.NoError(b, err)
				kill = func(k int) error { return c.killProgram(w, traced, k%len(traced.calls)+1) }
			}
			runtime.LockOSThread() // and never unlocked: nobody else gets the pinned thread
			pin(0)
			before := processorTime(b)
			for k := 0; b.Loop(); k++ {
				if err := kill(k); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "kills/s")
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
		})
	}
	assert.Empty(b, c.report.Problems)
}

// processorTime is that of this process and of those that it has waited for, which a
// loaded machine does not change.
func processorTime(b *testing.B) (sum int64) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var usage unix.Rusage
		require.NoError(b, unix.Getrusage(who, &usage))
		sum += usage.Utime.Nano() + usage.Stime.Nano()
	}
	return sum
}
