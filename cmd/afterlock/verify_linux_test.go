package main

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/gate"
	"github.com/afterlock/afterlock/internal/testfs"
)

type report struct {
	Schema  int
	Program struct{ Version, Go, System string }
	Kernel  string
	Command []string
	Started time.Time
	Error   string

	Seed     uint64
	Verdict  string
	ExitCode int `json:"exit_code"`
	Stages   []struct {
		Stage, Verdict, Because, Repeat, Line string
		Skips                                 []struct{ What, Why string }
		Counts                                []struct {
			Name string
			N    int64
		}
	}
}

// V is killed while it works. The next run removes what it has left, and prints JSON.
func TestVerifySweepsWhatAKilledRunHasLeftAndPrintsJSON(t *testing.T) {
	dir := t.TempDir()
	cmd := program("verify", "--run", "traces", "--dir", dir, "--duration", "1h", "-v")
	lines := untilItSays(t, cmd, "started") // it works
	require.NoError(t, cmd.Process.Kill())
	for lines.Scan() {
	}
	require.Error(t, cmd.Wait())
	require.Greater(t, len(testfs.Snapshot(t, dir)), 1)
	stdout, stderr, code := call(t, "verify", "--run", "traces", "--dir", dir, "--duration", "1s", "--json", "-v")
	require.Zero(t, code, stdout+stderr)
	onlyNames(t, dir)
	got := parse[report](t, stdout)
	assert.Equal(t, "pass", got.Verdict)
	assert.Zero(t, got.ExitCode)
	assert.Equal(t, 1, got.Schema)
	assert.Equal(t, runtime.Version(), got.Program.Go)
	assert.Contains(t, got.Kernel, "Linux ")
	assert.Contains(t, got.Command, "--json")
	assert.WithinDuration(t, time.Now(), got.Started, time.Hour)
	assert.Empty(t, got.Error)
	require.Len(t, got.Stages, 1)
	assert.Equal(t, "traces", got.Stages[0].Stage)
	assert.Contains(t, got.Stages[0].Line, "traces: ")
	assert.Empty(t, got.Stages[0].Repeat)
	assert.Contains(t, stderr, "seed "+strconv.FormatUint(got.Seed, 10))
	assert.Contains(t, stderr, "level=DEBUG")
}

func TestVerifyThatCannotRunExitsWith2(t *testing.T) {
	full := testfs.Tmpfs(t, "size=1m")
	stdout, stderr, code := call(t, "verify", "--run", "lifecycle", "--dir", full, "--json")
	require.NotEmpty(t, stdout, "exit code %d: %s", code, stderr)
	got := parse[report](t, stdout)
	assert.Equal(t, 2, code)
	assert.Equal(t, "environment", got.Verdict)
	assert.Equal(t, "environment", got.Stages[0].Verdict)
	assert.Contains(t, got.Stages[0].Because, "no space left on device")
}

// Whatever keeps it from running, a pipeline gets its document.
func TestVerifyPrintsJSONAlsoIfItCannotRun(t *testing.T) {
	for _, args := range [][]string{
		{"--json", "--run", "no-such-stage"},
		{"--no-such-flag", "--json"},
		{"--json=true", "an argument"},
		{"--json=maybe"},
		{"--duration", "0", "--json"},
		{"--dir", "/proc", "--json"}, // nobody can make a directory there
	} {
		stdout, stderr, code := call(t, append([]string{"verify"}, args...)...)
		assert.Equal(t, 2, code, args)
		assert.NotEmpty(t, stderr)
		got := parse[report](t, stdout)
		assert.Equal(t, 1, got.Schema)
		assert.Equal(t, 2, got.ExitCode, args)
		assert.Equal(t, "environment", got.Verdict, args)
		assert.NotNil(t, got.Stages)
		assert.NotEmpty(t, got.Error, args)
		assert.Contains(t, stderr, got.Error)
	}
}

// A sandbox such as that of a container refuses seccomp(2): the black box cannot
// be run, and the run does not pass.
func TestVerifyDoesNotPassWithTheBlackBoxSkipped(t *testing.T) {
	verify := func(args ...string) (stdout string, code int) {
		cmd := program(append([]string{"verify", "--run", "blackbox", "--dir", t.TempDir()}, args...)...)
		testfs.Lack{Calls: map[string]syscall.Errno{strconv.Itoa(unix.SYS_SECCOMP): syscall.EPERM}}.Command(t, cmd)
		output, err := cmd.Output()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			require.NoError(t, err)
		}
		return string(output), cmd.ProcessState.ExitCode()
	}
	stdout, code := verify("--json")
	got := parse[report](t, stdout)
	assert.Equal(t, 4, code)
	assert.Equal(t, 4, got.ExitCode)
	assert.Equal(t, "skipped", got.Verdict)
	require.Len(t, got.Stages, 1)
	assert.Equal(t, "skipped", got.Stages[0].Verdict)
	assert.Contains(t, got.Stages[0].Because, "seccomp user notification: operation not permitted")

	stdout, code = verify("--run", "traces", "--duration", "1s", "--allow-skips")
	assert.Zero(t, code)
	assert.Contains(t, stdout, "verdict: pass")
	assert.Contains(t, stdout, "STAGE ")
	assert.Contains(t, stdout, "blackbox: skipped, because ")
}

// Nor where there are no locks of open file descriptions: no stage takes that for a
// fault of what it checks.
func TestVerifyIsSkippedWithoutLocks(t *testing.T) {
	args := []string{"verify", "--json", "--dir", t.TempDir()}
	for _, stage := range []string{"conformance", "lifecycle", "traces", "linearizability", "blackbox"} {
		args = append(args, "--run", stage)
	}
	cmd := program(args...)
	testfs.Lack{Calls: map[string]syscall.Errno{testfs.TakeLock: syscall.EINVAL}}.Command(t, cmd)
	output, _ := cmd.Output()
	got := parse[report](t, string(output))
	assert.Equal(t, 4, got.ExitCode)
	assert.Equal(t, 4, cmd.ProcessState.ExitCode())
	for _, stage := range got.Stages {
		assert.Equal(t, "skipped", stage.Verdict, stage.Stage)
		assert.Contains(t, stage.Because, "unsupported operation", stage.Stage)
	}
}

func TestVerifyRefusesToRunOutOfDescriptors(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command("sh", "-c", `ulimit -n 32; exec "$0" verify --run traces --dir "$1"`, self, t.TempDir())
	cmd.Env = append(os.Environ(), proc.Variable+"="+programRole)
	output, err := cmd.CombinedOutput()
	require.Error(t, err)
	assert.Equal(t, 2, cmd.ProcessState.ExitCode())
	assert.Equal(t, "afterlock: only 32 descriptors are allowed (ulimit -n), and verify needs 256\n", string(output))
}

func TestShard(t *testing.T) {
	for text, want := range map[string]gate.Shard{"": {}, "1/1": {I: 1, N: 1}, "3/4": {I: 3, N: 4}} {
		got, err := parseShard(text)
		assert.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"0/4", "5/4", "1", "1/", "/2", "a/b", "1/2/3", "-1/2"} {
		_, err := parseShard(text)
		assert.ErrorContains(t, err, "expected I/N", text)
	}
}
