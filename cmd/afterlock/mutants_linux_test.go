package main

import (
	"bytes"
	"os"
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
	m := &mutant.Matrix{Enumerated: 9, Sampled: 3, Unbuilt: 1, Commit: "c", Seconds: 10, Load: 2.5, Rows: []*mutant.Row{
		{Mutant: "met", Expected: "a", Runs: []mutant.Run{run("a", mutant.Killed), run("b", mutant.Killed)}},
		{Mutant: "met by another", Expected: "a", Runs: []mutant.Run{run("a", mutant.WrongMessage), run("b", mutant.Killed)}},
		{Mutant: "same", Equivalent: "why", Runs: []mutant.Run{run("a", mutant.Survived)}},
		{Mutant: "not the same", Equivalent: "why", Runs: []mutant.Run{run("a", mutant.Killed)}},
		{Mutant: "does not apply", Error: "no such text"},
		{Mutant: "nowhere", Expected: "a", Runs: []mutant.Run{run("a", mutant.NotReached)}},
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
	assert.Equal(t, []string{"met by another", "not the same", "does not apply", "nowhere", "by rule"}, bad)
	var out bytes.Buffer
	require.NoError(t, writeMatrix(&out, m))
	assert.Equal(t, `not met by a  met by another, killed by b P (1.0 s); a: wrong message
not equivalent  not the same: why, killed by a P (1.0 s)
not tried  does not apply: no such text
not reached  nowhere
undecided  by rule, line 1: x -> y; a: timed out
equivalent  same: why
  detector  mutants  reached  killed  only killer  for instance
         b        4        3       3            0
         a        6        5       2            0
named: 1 killed, 1 equivalent, 1 not reached, 1 not met, 1 not equivalent, 1 not tried
enumerated (2 of 9 by the rules, 1 more do not compile): 1 killed, 1 undecided
1 of them at an earlier commit
10 s of detectors, load up to 2.5, commit c
`, out.String())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"verdict":"not met"`)
}

// An only kill is one that every other detector was tried for.
func TestOnlyKill(t *testing.T) {
	r := &mutant.Row{Mutant: "m"}
	for _, d := range mutant.Detectors {
		r.Runs = append(r.Runs, mutant.Run{Detector: d.Name, Verdict: mutant.Survived})
	}
	r.Runs[4].Verdict = mutant.Killed
	assert.Equal(t, mutant.Detectors[4].Name, r.Only())
	var out bytes.Buffer
	require.NoError(t, writeMatrix(&out, &mutant.Matrix{Rows: []*mutant.Row{r}}))
	assert.Regexp(t, `(?m)^ +`+mutant.Detectors[4].Name+` +1 +1 +1 +1 +m$`, out.String())
	for _, verdict := range []string{mutant.Killed, mutant.TimedOut} {
		r.Runs[0].Verdict = verdict
		assert.Empty(t, r.Only(), verdict)
	}
	r.Runs = r.Runs[1:]
	assert.Empty(t, r.Only(), "one was not tried")
}
