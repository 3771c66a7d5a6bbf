package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type report struct {
	Seed     uint64
	Verdict  string
	ExitCode int `json:"exit_code"`
	Stages   []struct {
		Stage, Verdict, Because, Repeat, Line string
		Counts                                []struct {
			Name string
			N    int64
		}
	}
}

// The other stages have tests of their own, and all of them run in .ci/run.
func TestVerifyPassesAndEndsWithTheTable(t *testing.T) {
	if testing.Short() {
		t.Skip("lays out layers")
	}
	dir, files := t.TempDir(), t.TempDir()
	for i := range 200 {
		require.NoError(t, os.WriteFile(filepath.Join(files, strconv.Itoa(i)), []byte("content"), 0o644))
	}
	stdout, stderr, code := call(t, "verify", "--run", "lifecycle", "--run", "race", "--run", "traces",
		"--tree", files, "--dir", dir, "--duration", "2s", "--seed", "7")
	require.Zero(t, code, stdout+stderr)
	t.Log("\n" + stdout)
	assert.Contains(t, stdout, "STAGE")
	assert.Contains(t, stdout, "race: ")
	assert.True(t, strings.HasSuffix(stdout, " s (seed 7)\n"), stdout)
	assert.Contains(t, stdout, "verdict: pass")
	assert.Contains(t, stderr, "seed 7\n")
	assert.Contains(t, stderr, "lifecycle: started: ")
	assert.Contains(t, stderr, "race: pass in ")
	onlyNames(t, dir)
}

func TestVerifyPrintsJSONAndRunsTheStagesItIsAskedFor(t *testing.T) {
	stdout, stderr, code := call(t, "verify", "--run", "race", "--dir", t.TempDir(), "--duration", "1s", "--json", "-v")
	require.Zero(t, code, stdout+stderr)
	got := parse[report](t, stdout)
	assert.Equal(t, "pass", got.Verdict)
	assert.Zero(t, got.ExitCode)
	require.Len(t, got.Stages, 1)
	assert.Equal(t, "race", got.Stages[0].Stage)
	assert.Contains(t, got.Stages[0].Line, "race: ")
	assert.Empty(t, got.Stages[0].Repeat)
	assert.Contains(t, stderr, "seed "+strconv.FormatUint(got.Seed, 10))
	assert.Contains(t, stderr, "level=DEBUG")
}

func TestVerifyThatIsCutShortIsUndecidedAndPrintsHowToRepeatIt(t *testing.T) {
	dir := t.TempDir()
	cmd := program("verify", "--run", "race", "--dir", dir, "--duration", "1h", "--creators", "1", "--seed", "5", "-v")
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	lines := untilItSays(t, cmd, "msg=race ") // it works
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	for lines.Scan() {
	}
	require.Error(t, cmd.Wait())
	assert.Equal(t, 3, cmd.ProcessState.ExitCode())
	assert.Contains(t, stdout.String(), "race: undecided, because ")
	assert.Regexp(t, "(?m)^repeat: afterlock verify --run race --seed 5 --creators 1 --recoverers 3 --dir '?"+regexp.QuoteMeta(dir)+"'? --duration 1h0m0s$", stdout.String())
}

func TestVerifyThatCannotRunExitsWith2(t *testing.T) {
	stdout, _, code := call(t, "verify", "--run", "lifecycle", "--dir", t.TempDir(), "--tree", t.TempDir())
	assert.Equal(t, 2, code)
	assert.Contains(t, stdout, "has 0 files")
}

func TestVerifyRefusesToRunOutOfDescriptors(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command("sh", "-c", `ulimit -n 32; exec "$0" verify --run race --dir "$1"`, self, t.TempDir())
	cmd.Env = append(os.Environ(), programVariable+"=1")
	output, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, 2, cmd.ProcessState.ExitCode())
	assert.Equal(t, "afterlock: only 32 descriptors are allowed (ulimit -n), and verify needs 256\n", string(output))
}
