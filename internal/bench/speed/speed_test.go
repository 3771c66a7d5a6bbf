package speed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// How many of n sorted values may be left out at each end: tables of the sign test.
func TestRanksOfTheInterval(t *testing.T) {
	for n, want := range map[int]int{1: -1, 5: -1, 6: 0, 8: 0, 9: 1, 12: 2, 15: 3, 20: 5, 50: 17, 2000: 955} {
		assert.Equal(t, want, rank(n), n)
	}
}

func TestRatiosAreOfPairs(t *testing.T) {
	ours, peer := &Series{By: Ours[Command], Kind: Command}, &Series{By: "peer", Kind: Command}
	for i := range 15 { // the machine gets slower: only pairs show that the peer takes double
		ours.Took = append(ours.Took, time.Duration(1000*(i+1)))
		peer.Took = append(peer.Took, time.Duration(2000*(i+1)+i))
	}
	r, ok := peer.Ratio(ours)
	require.True(t, ok)
	assert.InDelta(t, 2, r.Median, 0.01)
	assert.InDelta(t, 2, r.Low, 0.01)
	assert.InDelta(t, 2, r.High, 0.01)
	first, third := ours.Quartiles()
	assert.Equal(t, []time.Duration{4500, 8000, 11500}, []time.Duration{first, ours.Median(), third})
	r, _ = (&Series{Took: peer.Took[:5]}).Ratio(ours)
	assert.Zero(t, r.High, "five pairs have no interval")

	var text strings.Builder
	report := Report{Cells: []*Cell{{FileSystem: "fs", Shape: "like /a b", Series: []*Series{ours, peer}}}}
	require.NoError(t, report.WriteText(&text))
	assert.Regexp(t, `peer +16.01µs +9.*2\.00 \[2\.00, 2\.00\] +15\n`, text.String())
	text.Reset()
	require.NoError(t, report.WriteBenchmarks(&text))
	assert.Contains(t, text.String(), "\nBenchmarkRemoval/fs=fs/shape=like--a-b/files=0/cold=false/by=afterlock-rm 1 1000 ns/op\n")
	assert.Equal(t, 30, strings.Count(text.String(), "\nBenchmark"))
}

// A bar begins at zero, or its length says nothing.
func TestBarsBeginAtZero(t *testing.T) {
	dir := t.TempDir()
	ours, peer := &Series{By: "ours", Took: []time.Duration{1020 * time.Millisecond}}, &Series{By: "peer", Took: []time.Duration{1570 * time.Millisecond}}
	report := Report{Cells: []*Cell{{FileSystem: "fs", Shape: "nested", Series: []*Series{ours, peer}}}}
	require.NoError(t, report.WritePlots(dir))
	text, err := os.ReadFile(filepath.Join(dir, "removal-fs-nested.svg"))
	require.NoError(t, err)
	for _, label := range []string{">0<", ">1020<", ">1570<"} {
		assert.Contains(t, string(text), label)
	}
}
