package gate

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/spec"
)

// runModels runs the stage on a manifest of two small models, changed.
func runModels(t *testing.T, change func(rows []model.Recorded)) (Verdict, string, []string) {
	t.Helper()
	all, err := model.ParseManifest(spec.Manifest)
	require.NoError(t, err)
	var rows []model.Recorded
	for _, row := range all {
		if row.Model == "GateOrphan" || row.Model == "UpstreamAsShipped" {
			rows = append(rows, row)
		}
	}
	require.Len(t, rows, 2)
	change(rows)
	text, err := json.Marshal(rows)
	require.NoError(t, err)
	result, err := modelStage{text}.Run(t.Context(), Env{Log: slog.New(slog.DiscardHandler), Progress: func(string) {}})
	require.NoError(t, err)
	return judge(result, nil)
}

func TestModelStageTellsWhatDiffers(t *testing.T) {
	verdict, _, problems := runModels(t, func(rows []model.Recorded) {
		rows[0].Distinct++
		rows[1].Length--
	})
	assert.Equal(t, Fail, verdict)
	assert.Contains(t, problems, "GateOrphan: distinct states: TLC has 3168, Go has 3167")
	assert.Contains(t, problems, "UpstreamAsShipped: states of the counterexample: TLC has 15, Go has 16")
	assert.Contains(t, problems, "action SkipYoung fires in no model")

	verdict, _, problems = runModels(t, func(rows []model.Recorded) { rows[0].Model = "Gone" })
	assert.Equal(t, Fail, verdict)
	assert.Contains(t, problems, "Gone: package model does not have it")
}

func TestModelStageThatIsInterruptedSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := modelStage{spec.Manifest}.Run(ctx, Env{Log: slog.New(slog.DiscardHandler), Progress: func(string) {}})
	assert.ErrorIs(t, err, context.Canceled)
	_, err = modelStage{[]byte("{")}.Run(t.Context(), Env{})
	assert.Error(t, err)
}
