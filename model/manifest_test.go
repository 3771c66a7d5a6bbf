package model_test

import (
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

func init() { debug.SetGCPercent(400) } // a tenth of the time is garbage

func manifest(t *testing.T) []model.Recorded {
	t.Helper()
	text, err := os.ReadFile("../spec/manifest.json")
	require.NoError(t, err)
	rows, err := model.ParseManifest(text)
	require.NoError(t, err)
	require.Greater(t, len(rows), 100, "models of the manifest")
	return rows
}

// isSmall reports whether a model is explored here, as afterlock verify explores all of
// them: up to 30,000 states, with -short up to 8,000, and all that are refuted, which are
// mutants of the specification that nothing else kills.
func isSmall(row model.Recorded) bool {
	switch {
	case testing.Short():
		return row.Distinct <= 8_000
	case row.Verdict == model.Refuted:
		return true
	}
	return row.Distinct <= 30_000
}

// Every model of the manifest: the same graph as TLC's, to the last edge. What is
// refuted, is refuted by a behaviour of it.
func TestEveryModelIsAsTLCRecordedIt(t *testing.T) {
	var reports []*model.Report
	behaviours, lassos := 0, 0
	for _, want := range manifest(t) {
		t.Run(want.Model, func(t *testing.T) {
			if !isSmall(want) {
				t.Skip("a large model: afterlock verify --run model")
			}
			m := model.Find(want.Model)
			require.NotNil(t, m, "the manifest has a model that this package has not")
			got, err := m.Check(t.Context(), model.Options{}, want.Digest != nil)
			require.NoError(t, err)
			differences := want.Differences(got)
			assert.Empty(t, differences)
			assert.Equal(t, want.Digest == nil, got.Digest == nil)
			reports = append(reports, got)
			c := got.Counterexample
			if c == nil {
				return
			}
			if len(differences) > 0 {
				var table strings.Builder
				_, err := c.WriteTo(&table)
				require.NoError(t, err)
				t.Errorf("%s is refuted:\n%s", got.Property, table.String())
			}
			assert.Len(t, c.States, got.Length)
			if assert.Equal(t, got.Property == "GoneInTheEnd", c.Loop != nil); c.Loop != nil {
				lassos++
				model.RequireFairLasso(t, m, c)
			}
			if m.Kind == "mustfail" && m.Protocol != nil {
				behaviours++
				requireBehaviour(t, m, c)
			}
		})
	}
	assert.Empty(t, model.NeverFire(reports), "actions that fire in no model")
	if !testing.Short() {
		assert.Greater(t, behaviours, 40)
		assert.Greater(t, lassos, 8)
	}
}

// What is compared is compared: a row that differs is told.
func TestDifferencesAreTold(t *testing.T) {
	want := manifest(t)[0]
	got, err := model.Find(want.Model).Check(t.Context(), model.Options{}, true)
	require.NoError(t, err)
	require.Empty(t, want.Differences(got))
	for name, change := range map[string]func(r *model.Recorded){
		"verdict":                      func(r *model.Recorded) { r.Verdict = model.Refuted },
		"property":                     func(r *model.Recorded) { r.Property = "LiveKept" },
		"distinct states":              func(r *model.Recorded) { r.Distinct++ },
		"generated states":             func(r *model.Recorded) { r.Generated++ },
		"depth":                        func(r *model.Recorded) { r.Depth++ },
		"states of the counterexample": func(r *model.Recorded) { r.Length = 4 },
		"digest":                       func(r *model.Recorded) { r.Digest = &model.Digest{} },
		"actions that fire":            func(r *model.Recorded) { r.Actions = r.Actions[1:] },
	} {
		changed := want
		change(&changed)
		lines := changed.Differences(got)
		if assert.Len(t, lines, 1, name) {
			assert.Contains(t, lines[0], name+": ")
		}
	}
	_, err = model.ParseManifest([]byte("{"))
	assert.Error(t, err)
}
