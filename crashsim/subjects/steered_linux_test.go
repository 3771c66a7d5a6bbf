//go:build amd64 || arm64

package subjects

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// play plays the variant's schedules once, or skips the test.
func play(t *testing.T, variant string) (SteeredReport, string) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped, because it builds the store's command")
	}
	w := released(t)
	w.dir = filepath.Join(w.dir, "temp-dir-1") // as that of the command is called
	require.NoError(t, os.Mkdir(w.dir, 0o700))
	var log bytes.Buffer
	w.log = &log
	report, err := w.Steered(t.Context(), variant, 1)
	if errors.Is(err, ErrUnavailable) {
		t.Skip("skipped, because the store cannot be built or run here: ", err)
	}
	require.NoError(t, err)
	left, err := filepath.Glob(filepath.Join(w.dir, "steered-*"))
	require.NoError(t, err)
	assert.Empty(t, left)
	return report, log.String()
}

func TestTheSteeredReleaseLosesDataAtEveryMoment(t *testing.T) {
	report, log := play(t, "released")
	assert.Regexp(t, `put +UpstreamTakeLock +fcntl lock-\d+\n +put +MakeData +mkdirat temp-dir-\d+\n`, log)
	require.Len(t, report.Moments, len(moments))
	for i, wants := range []SteeredMoment{
		{Failed: 1, Example: "no such file or directory"},
		{Failed: 1, Example: "unpacking failed"},
		{Incomplete: 1, Example: "its layer is listed: true, files of it that are there: 0 of 20, damaged by the store's own check: true"},
	} {
		m := report.Moments[i]
		assert.Contains(t, m.Example, wants.Example)
		assert.Equal(t, []int{1, 1, 1, wants.Failed, wants.Incomplete}, []int{m.Runs, m.Played, m.Met, m.Failed, m.Incomplete}, m.Name)
	}
}

func TestTheSteeredStoreOnCompatLosesNothing(t *testing.T) {
	report, log := play(t, "compat/commit")
	assert.Contains(t, log, "makes no call that is OpenDirectory")
	require.Len(t, report.Moments, 1)
	m := report.Moments[0]
	assert.Equal(t, []int{3, 0, 3, 0}, []int{m.Runs, m.Played, m.Met, m.Lost()}, m.Example)
}

func TestAMomentThatThereIsNotIsAnError(t *testing.T) {
	w := released(t)
	_, err := w.Steered(t.Context(), "released/never", 1)
	require.EqualError(t, err, `no moment "never"`)
	if os.Geteuid() != 0 {
		_, err = w.Steered(t.Context(), "released", 1)
		require.ErrorIs(t, err, ErrUnavailable)
	}
}
