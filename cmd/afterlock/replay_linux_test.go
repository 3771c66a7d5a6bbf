package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReplayShowsTheDamageOfACounterexample(t *testing.T) {
	dir := t.TempDir()
	stdout, stderr, code := call(t, "replay", "counterexample:UpstreamAsShipped", "--runs", "20", "--dir", dir)
	require.Zero(t, code, stderr)
	t.Log("\n" + stdout)
	assert.Regexp(t, `(?m)^ +15 +RemoveData\(r1\) +lock-i1 is file 2; c1 locks file 1, which has no name; r1 locks file 2; v1 at home`, stdout)
	assert.Contains(t, stdout, "20 of 20 runs: LiveKept is refuted in the observed world: RemoveData(r1) leaves: lock-i1 is file 2; c1 locks file 1, which has no name; r1 locks file 2; v1 at home (files: 1)\n")
	assert.Contains(t, stdout, "40 of 40 runs lost nothing, and recovery emptied the root\n")
	assert.Contains(t, stdout, "RemoveData(r1): it has given up (TakeLock: the lock is held)")
	assert.Equal(t, 1, strings.Count(stdout, "UpstreamCreateLock(c1,i1)"), "one table, of the first run")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestReplayOfAWalkTellsWhetherTheCodeConforms(t *testing.T) {
	stdout, stderr, code := call(t, "replay", "conformance:GateSwept/0.2.2.2.0!1", "--dir", t.TempDir())
	require.Zero(t, code, stderr)
	assert.Contains(t, stdout, "LinkLock(c1,i1)")
	assert.Contains(t, stdout, "the code does what the specification says\n")
}

func TestReplayOfACrashTellsWhetherAnythingIsWrong(t *testing.T) {
	stdout, stderr, code := call(t, "replay", "crash:delete=1x1x1@weak/A13/3")
	assert.Equal(t, exitFailed, code, stderr)
	assert.Contains(t, stdout, "FINDING reachable-whole: layers/v0-0")
	old, _, code := call(t, "replay", "crash:delete=1x1x1/weak/A13/3")
	assert.Equal(t, exitFailed, code)
	assert.Equal(t, stdout, old, "as former versions wrote it")
}
