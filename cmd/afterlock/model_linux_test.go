package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

func TestModelComparesWithTLC(t *testing.T) {
	stdout, stderr, code := call(t, "model", "UpstreamAsShipped", "GateOrphan", "--trace")
	require.Zero(t, code, stderr)
	t.Log("\n" + stdout)
	assert.Regexp(t, `(?m)^GateOrphan +holds +\d+ +\d+ +\d+ +\w{8} \w{8} .* same$`, stdout)
	assert.Regexp(t, `(?m)^UpstreamAsShipped +LiveKept in 16 `, stdout)
	assert.Regexp(t, `(?m)^ +action +c1 +r1 +disk$`, stdout)
	assert.Regexp(t, `(?m)^16 +RemoveData\(r1\) `, stdout)
}

// What is not as recorded comes with its counterexample.
func TestModelPrintsAnUnexpectedCounterexample(t *testing.T) {
	cmd, out := newModel(), strings.Builder{}
	cmd.SetContext(t.Context())
	cmd.SetOut(&out)
	assert.Error(t, checkModels(cmd, []model.Recorded{{Model: "UpstreamAsShipped", Verdict: model.Holds}}, modelOptions{}))
	assert.Contains(t, out.String(), "UpstreamAsShipped: verdict: TLC has holds, Go has refuted\n")
	assert.Regexp(t, `(?m)^16 +RemoveData\(r1\) `, out.String())
}

func TestModelListsAndPrintsJSON(t *testing.T) {
	stdout, _, code := call(t, "model")
	require.Zero(t, code)
	assert.Greater(t, strings.Count(stdout, "\n"), 100)
	assert.Regexp(t, `(?m)^Rule8NoTable +mustfail `, stdout)

	stdout, _, code = call(t, "model", "GateFallback", "--json")
	require.Zero(t, code)
	reports := parse[[]struct {
		Model, Verdict string
		Distinct       int
		Differences    []string
		Actions        map[string]int
	}](t, stdout)
	require.Len(t, reports, 1)
	assert.Equal(t, "holds", reports[0].Verdict)
	assert.Equal(t, 10382, reports[0].Distinct)
	assert.Empty(t, reports[0].Differences)
	assert.Positive(t, reports[0].Actions["CreateLock"])
}

func TestModelWritesDOT(t *testing.T) {
	file := filepath.Join(t.TempDir(), "graph.dot")
	_, stderr, code := call(t, "model", "PowerOrdered", "--dot", file)
	require.Zero(t, code, stderr)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, 733, strings.Count(string(text), " -> "))
}
