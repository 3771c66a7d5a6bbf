package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/speed"
)

func TestBench(t *testing.T) {
	out, dir := filepath.Join(t.TempDir(), "out"), t.TempDir()
	args := []string{"bench", "--fs", "here", "--shape", "small", "--pairs", "1", "--table", "removal", "--against", "rm", "--limit", "--dir", dir}
	stdout, stderr, code := call(t, append(args, "--json", "--out", out)...)
	require.Zero(t, code, stderr)
	report := parse[speed.Report](t, stdout)
	require.Len(t, report.Cells, 1)
	for _, s := range report.Cells[0].Series {
		assert.Empty(t, s.Error, s.By)
		assert.Len(t, s.Took, 1, s.By)
	}
	for _, name := range []string{"speed.txt", "speed.bench", "speed.json", "removal-here-small.svg"} {
		assert.FileExists(t, filepath.Join(out, name))
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
	for _, wrong := range [][]string{{"--shape", "round"}, {"--against", "mv"}, {"--files", "0"}} {
		_, stderr, code := call(t, append(args, wrong...)...)
		assert.Equal(t, 2, code)
		assert.Contains(t, stderr, wrong[1])
	}
}
