package model_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

func manifest(t *testing.T) []model.Recorded {
	t.Helper()
	text, err := os.ReadFile("../spec/manifest.json")
	require.NoError(t, err)
	rows, err := model.ParseManifest(text)
	require.NoError(t, err)
	require.Greater(t, len(rows), 100, "models of the manifest")
	return rows
}

// large is the number of states above which a model is skipped with -short.
const large = 8_000

// Every model of the manifest: the same graph as TLC's, to the last edge.
func TestEveryModelIsAsTLCRecordedIt(t *testing.T) {
	var reports []*model.Report
	for _, want := range manifest(t) {
		t.Run(want.Model, func(t *testing.T) {
			if testing.Short() && want.Distinct > large {
				t.Skip("a large model")
			}
			m := model.Find(want.Model)
			require.NotNil(t, m, "the manifest has a model that this package has not")
			begin := time.Now()
			got, err := m.Check(t.Context(), model.Options{}, want.Digest != nil)
			require.NoError(t, err)
			assert.Empty(t, want.Differences(got))
			assert.Equal(t, want.Digest == nil, got.Digest == nil)
			if got.Counterexample != nil {
				assert.Len(t, got.Counterexample.States, got.Length)
				assert.Equal(t, got.Property == "GoneInTheEnd", got.Counterexample.Loop != nil)
			}
			t.Logf("%d states, %d steps, depth %d, %s %s, %.3f s, %.1f bytes a state", got.Distinct, got.Generated,
				got.Depth, got.Verdict, got.Property, time.Since(begin).Seconds(), float64(got.Bytes)/float64(got.Distinct))
			reports = append(reports, got)
		})
	}
	assert.Empty(t, model.NeverFire(reports), "actions that fire in no model")
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
