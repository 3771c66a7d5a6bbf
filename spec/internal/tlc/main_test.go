package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/spec/internal/manifest"
)

func TestOnlyTheNamedPropertyCounts(t *testing.T) {
	for text, want := range map[string]string{
		"Error: Invariant LiveKept is violated.\n":                                                                "LiveKept",
		"Error: Invariant OneOwner is violated.\n":                                                                "",
		"Error: Action property LiveKept is violated.\n":                                                          "LiveKept",
		"Error: Temporal property LiveKept was violated.\n":                                                       "LiveKept",
		"Error: Action property line 3, col 17 to line 3, col 29 of module TempDir is violated.\n":                "TempDirSpec",
		"Error: Action property line 3, col 17 to line 3, col 29 of module Kernel is violated.\n":                 "",
		"Error: Parsing or semantic analysis failed.\n":                                                           "",
		"Error: Evaluating invariant LiveKept failed.\nAttempted to apply a function to a value outside of it.\n": "",
	} {
		r := result{text: text}
		assert.Equal(t, want, r.property([]string{"LiveKept", "TempDirSpec"}), text)
	}
}

func TestTraceReadsStates(t *testing.T) {
	steps, err := trace("Error: The behavior up to this point is:\nState 1: <Initial predicate>\n" +
		"/\\ lock = (i1 :> None)\n/\\ data = {}\n/\\ holder = <<None>>\n/\\ tree = (v1 :> 2)\n/\\ place = (v1 :> \"home\")\n\n" +
		"State 2: <LinkLock(c1,i1) line 90, col 3 to line 98, col 48 of module Create>\n" +
		"/\\ lock = (i1 :> 1)\n/\\ data = {}\n/\\ holder = <<c1>>\n/\\ tree = (v1 :> 2)\n/\\ place = (v1 :> \"home\")\n\n" +
		"12 states generated, 9 distinct states found, 3 states left on queue.\n")
	require.NoError(t, err)
	assert.Equal(t, []manifest.Step{
		{Disk: "v1 at home (files: 2)"},
		{Action: "LinkLock(c1,i1)", Disk: "lock-i1 is file 1; c1 locks file 1; v1 at home (files: 2)"},
	}, steps)
}

func TestRunsThatDifferFromTheRecordSaySo(t *testing.T) {
	want := manifest.Row{Exit: 12, Property: "LiveKept", Distinct: 10, Generated: 20, Depth: 5, Length: 4, Digest: &manifest.Digest{States: "1", Edges: "2", Count: 19}}
	assert.Empty(t, same(want, want))
	for name, change := range map[string]func(*manifest.Row){
		"exit code":        func(r *manifest.Row) { r.Exit = 13 },
		"property":         func(r *manifest.Row) { r.Property = "OneOwner" },
		"distinct states":  func(r *manifest.Row) { r.Distinct++ },
		"generated states": func(r *manifest.Row) { r.Generated++ },
		"depth":            func(r *manifest.Row) { r.Depth++ },
		"counterexample":   func(r *manifest.Row) { r.Length++ },
		"digest":           func(r *manifest.Row) { r.Digest = &manifest.Digest{States: "1", Edges: "3", Count: 19} },
	} {
		seen := want
		change(&seen)
		complaints := same(want, seen)
		if assert.Len(t, complaints, 1, name) {
			assert.Contains(t, complaints[0], name)
		}
	}
}
