package subjects_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim/subjects"
)

// The verdict follows from what was noted, the worst of it first.
func TestVerdictOfAReport(t *testing.T) {
	row := func(r *subjects.Report) { r.Table("puts", "who", "failed").Row("released", 1) }
	problem := func(r *subjects.Report) { r.Problem("%s: %d of %d puts failed", "released", 1, 9) }
	short := func(r *subjects.Report) { r.AtLeast(0, 0, "puts") }
	enough := func(r *subjects.Report) { r.AtLeast(9, 9, "puts") }
	skip := func(r *subjects.Report) { r.Skip("puts", errors.New("there is no overlay")) }
	for _, c := range []struct {
		verdict subjects.Verdict
		because string
		noted   []func(*subjects.Report)
	}{
		{subjects.Undecided, "nothing was counted", nil},
		{subjects.Undecided, "nothing was counted", []func(*subjects.Report){func(r *subjects.Report) { r.Table("empty") }}},
		{subjects.Pass, "", []func(*subjects.Report){row, enough}},
		{subjects.Skipped, "puts skipped, because there is no overlay", []func(*subjects.Report){skip}},
		{subjects.Skipped, "puts skipped, because there is no overlay", []func(*subjects.Report){row, skip}},
		{subjects.Undecided, "0 puts, at least 1 expected", []func(*subjects.Report){row, skip, short}},
		{subjects.Fail, "released: 1 of 9 puts failed", []func(*subjects.Report){row, skip, short, problem}},
	} {
		var r subjects.Report
		for _, note := range c.noted {
			note(&r)
		}
		assert.Equal(t, c.verdict, r.Verdict(), c.because)
		assert.Equal(t, c.because, r.Because())
	}
}

// A step is skipped if all that is wrong is that it cannot be taken here.
func TestWhatIsUnavailableIsNothingElse(t *testing.T) {
	no := fmt.Errorf("%w: no bats: %w", subjects.ErrUnavailable, fs.ErrNotExist)
	gone := errors.New("data is gone")
	for want, errs := range map[bool][]error{
		true:  {subjects.ErrUnavailable, no, fmt.Errorf("step: %w", no), errors.Join(no, nil), errors.Join(no, no)},
		false: {nil, gone, errors.Join(no, gone), fmt.Errorf("step: %w", errors.Join(gone, no)), errors.Join(gone, gone)},
	} {
		for _, err := range errs {
			assert.Equal(t, want, subjects.Unavailable(err), "%v", err)
		}
	}
}

// What a program has printed is one line of a report, and no more than one can read.
func TestReasonsAreBrief(t *testing.T) {
	var r subjects.Report
	r.Skip("puts", errors.New("no overlay:\n\t"+strings.Repeat("level=warning\n", 100_000)))
	assert.Len(t, r.Skips, 1)
	assert.Less(t, len(r.Skips[0]), 600)
	assert.NotContains(t, r.Skips[0], "\n")
	r.Problem("step build: %v", "exit status 1\nmain.go:1")
	assert.Equal(t, []string{"step build: exit status 1 main.go:1"}, r.Problems)
}

func TestRowsHaveTheirColumnsAndNumbersStayNumbers(t *testing.T) {
	var r subjects.Report
	table := r.Table("puts", "who", "failed", "took")
	text, err := json.Marshal(r)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"rows":[]`)
	table.Row("released", 23, 40*time.Second)
	assert.Panics(t, func() { table.Row("released") })
	text, err = json.Marshal(r)
	require.NoError(t, err)
	assert.JSONEq(t, `{"tables": [{"title": "puts", "columns": ["who", "failed", "took"], "rows": [["released", 23, 40000000000]]}]}`, string(text))
}
