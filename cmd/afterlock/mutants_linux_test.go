package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/mutant"
)

func TestMatrixOfMutants(t *testing.T) {
	run := func(detector, verdict string) mutant.Run {
		return mutant.Run{Detector: detector, Verdict: verdict, Part: "P", Seconds: 1}
	}
	m := &mutant.Matrix{Enumerated: 9, Sampled: 3, Unbuilt: 1, Commit: "c", Seconds: 9, Rows: []*mutant.Row{
		{Mutant: "met", Expected: "a", Runs: []mutant.Run{run("a", mutant.Killed), run("b", mutant.Killed)}},
		{Mutant: "met by another", Expected: "a", Runs: []mutant.Run{run("a", mutant.WrongMessage), run("b", mutant.Killed)}},
		{Mutant: "same", Equivalent: "why", Runs: []mutant.Run{run("a", mutant.Survived)}},
		{Mutant: "not the same", Equivalent: "why", Runs: []mutant.Run{run("a", mutant.Killed)}},
		{Mutant: "does not apply", Error: "no such text"},
		{Mutant: "by rule", Enumerated: true, Change: "line 1: x -> y", Runs: []mutant.Run{run("a", mutant.TimedOut), run("b", mutant.NotReached)}},
		{Mutant: "by rule, met", Enumerated: true, Commit: "b", Runs: []mutant.Run{run("b", mutant.Killed)}},
	}}
	path := filepath.Join(t.TempDir(), "m.json")
	require.NoError(t, m.Write(path))
	read, err := mutant.ReadMatrix(path)
	require.NoError(t, err)
	assert.Equal(t, m, read)
	var bad []string
	for _, r := range unmet(m) {
		bad = append(bad, r.Mutant)
	}
	assert.Equal(t, []string{"met by another", "not the same", "does not apply", "by rule"}, bad)
	var out bytes.Buffer
	require.NoError(t, writeMatrix(&out, m))
	assert.Equal(t, `not met by a  met by another, killed by b P (1.0 s); a: wrong message
killed  not the same, killed by a P (1.0 s)
not tried  does not apply: no such text
undecided  by rule, line 1: x -> y; a: timed out
equivalent  same: why
  detector  mutants  reached  killed  only killer
         b        4        3       3            2
         a        5        5       2            1
named: 5 mutants, 3 killed, 1 equivalent, 3 not met
enumerated (2 of 9 by the rules, 1 more do not compile): 2 mutants, 1 killed, 0 equivalent, 1 not met
1 of them at an earlier commit
9 s of detectors, commit c
`, out.String())
}
