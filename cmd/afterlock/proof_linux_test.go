package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/gate"
	"github.com/afterlock/afterlock/model/proof"
)

func TestProofFlags(t *testing.T) {
	for _, c := range []struct {
		args   []string
		asks   bool // a solver
		code   int
		prints string // a part of it
	}{
		{[]string{"--theory", "none"}, false, 2, `no theory "none"; there are: ours \(`},
		{[]string{"--clause", "None"}, false, 2, `no clause "None"; there are: .*\bActingIsNamed\b`},
		{[]string{"--mutant", "None"}, false, 2, `no model "None"; afterlock model lists them`},
		{[]string{"--mutant", "StoreGroup"}, false, 2, `StoreGroup is no model of the protocol`},
		{[]string{"--mutant", "Gate", "--theory", "posix"}, false, 2, `\[mutant theory\]`},
		{[]string{"--record", "file", "--json"}, false, 2, `\[json record\]`},
		{[]string{"--solver", "none"}, false, 2, `there is no such solver; apt-get install`},
		{[]string{"--clause", "ActingIsNamed"}, true, 0, `(?m)^Close ActingIsNamed +unsat +\d`},
		{[]string{"--clause", "ActingIsNamed", "--solver", "go"}, false, 0, `(?m)^Close ActingIsNamed +unsat +\d`},
		{[]string{"--mutant", "Rule2Recoverer", "--solver", "go"}, false, 1, `RecovererTrustsLock does not keep ActingIsNamed: (?s:.*)where a program is the solver`},
		{[]string{"--mutant", "Rule2Recoverer"}, true, 1, `RecovererTrustsLock does not keep ActingIsNamed: (?s:.*)\n2 +RecovererTrustsLock\(`},
		{[]string{"--mutant", "Rule2Recoverer", "--json"}, true, 1, `(?s)"breaks": \[.*"clause": "ActingIsNamed",.*"questions": \[.*"answer": "sat"`},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			if c.asks && testing.Short() {
				t.Skip("skipped with -short, because it asks a solver")
			}
			if c.asks && len(gate.Solvers()) == 1 { // the one that is built in shows no states
				t.Skip("skipped, because there is no solver: " + gate.InstallSolvers)
			}
			stdout, stderr, code := call(t, append([]string{"proof"}, c.args...)...)
			assert.Equal(t, c.code, code, stderr)
			assert.Regexp(t, c.prints, stdout+stderr)
		})
	}
}

// With --smt there is a file for each question, and no solver is needed.
func TestProofWritesItsQuestions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "smt")
	_, stderr, code := call(t, "proof", "--smt", dir)
	require.Zero(t, code, stderr)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	all := proof.Ours().Obligations()
	assert.Len(t, files, len(all))
	text, err := os.ReadFile(filepath.Join(dir, all[0].Name+".smt2"))
	require.NoError(t, err)
	assert.Equal(t, all[0].Text, string(text))
}
