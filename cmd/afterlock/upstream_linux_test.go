package main

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim/subjects"
)

// Whatever keeps the release away is a reason to skip, and to say so, in both forms.
func TestUpstreamIsSkippedWithoutTheRelease(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	dir := t.TempDir()
	stdout, stderr, code := call(t, "upstream", "--version", "v0.0.1", "--dir", dir)
	assert.Equal(t, 4, code, stderr)
	assert.Contains(t, stdout, "go.podman.io/storage v0.0.1, Linux ")
	assert.Contains(t, stdout, "upstream skipped, because not available here: go.podman.io/storage@v0.0.1: ")
	assert.Contains(t, stdout, "\nverdict: skipped\n")

	stdout, _, code = call(t, "upstream", "--version", "v0.0.1", "--json", "--dir", dir)
	assert.Equal(t, 4, code)
	d := parse[map[string]any](t, stdout)
	assert.Equal(t, "skipped", d["verdict"])
	assert.Equal(t, 4., d["exit_code"])
	assert.Contains(t, d["because"], "v0.0.1")

	_, _, code = call(t, "upstream", "--checkout", t.TempDir(), "--dir", dir)
	assert.Equal(t, 4, code)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
}

func TestUpstreamPrintsAReport(t *testing.T) {
	report := &subjects.Report{}
	table := report.Table("Puts", "kind", "puts", "rate", "took")
	table.Row("released", 3901, 0.00589, 40*time.Second)
	table.Row("\x1b[31mcompat", 12, 1., 1500*time.Microsecond)
	report.Table("Nothing", "was", "counted")
	report.Note("a note")
	report.Skip("bats", os.ErrNotExist)
	report.AtLeast(12, 2000, "puts")
	report.Problem("released loses 23 puts")
	d := upstreamDocument{head: head{Kernel: "Linux 6"}, Module: "m", Version: "v1", LoadBefore: 1, LoadAfter: 2.5, Seconds: 41.4, Verdict: report.Verdict(), Report: report}
	var out bytes.Buffer
	require.NoError(t, d.print(&out))
	nothing := &subjects.Report{}
	var undecided bytes.Buffer
	require.NoError(t, upstreamDocument{Verdict: nothing.Verdict(), Because: nothing.Because(), Report: nothing}.print(&undecided))
	assert.Contains(t, undecided.String(), "\nnothing was counted\nverdict: undecided\n")
	assert.Equal(t, `m v1, Linux 6, load 1.00 before and 2.50 after, 41 s

Puts
kind              puts   rate     took
released          3,901  0.00589  40s
"\x1b[31mcompat"  12     1        1.5ms

a note
bats skipped, because file does not exist
12 puts, at least 2000 expected
released loses 23 puts
verdict: fail
`, out.String())
}
