package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir"
)

// The test binary is also the program under test, and a process that holds an
// instance or an upstream lock.
const (
	programRole  = "program"
	holdRole     = "hold"          // a root: holds a new instance
	upstreamRole = "hold upstream" // a lock file: holds it as containers/storage does
)

func init() {
	proc.Register(programRole, func([]string) {
		os.Setenv(proc.Variable, programRole) // it may start itself anew
		begin()
	})
	proc.Register(holdRole, hold)
	proc.Register(upstreamRole, holdUpstream)
}

func TestMain(m *testing.M) {
	if conditions := os.Getenv(underVariable); conditions != "" {
		becomeUnder(conditions)
	}
	proc.Main(m)
}

// program prepares a call of afterlock.
func program(args ...string) *exec.Cmd { return proc.New(programRole, args...).Cmd }

// call runs afterlock and returns what it printed and its exit code.
func call(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := program(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		require.NoError(t, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// parse decodes what --json printed.
func parse[T any](t *testing.T, text string) (value T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &value), text)
	return value
}

// hold makes an instance with one staged file, prints its id, and waits.
func hold(arguments []string) {
	path := arguments[0]
	root, err := tempdir.Open(path, tempdir.Make(0o700), tempdir.Purpose("test of ls"))
	proc.Fail(err)
	dir, err := root.Create()
	proc.Fail(err)
	victim := filepath.Join(filepath.Dir(path), "victim of "+filepath.Base(path))
	proc.Fail(os.WriteFile(victim, make([]byte, 10_000), 0o600))
	proc.Fail(dir.StageDeletion(victim))
	proc.Fail(proc.Parent.Say("%s", dir.ID()))
	proc.Parent.Await()
}

// holdUpstream takes a POSIX lock of a lock file, as containers/storage does.
func holdUpstream(arguments []string) {
	file, err := os.OpenFile(arguments[0], os.O_RDWR|os.O_CREATE, 0o600)
	proc.Fail(err)
	proc.Fail(unix.FcntlFlock(file.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	proc.Fail(proc.Parent.Say("held"))
	proc.Parent.Await()
	runtime.KeepAlive(file)
}

// startHolder starts a process that holds something until it is killed, and returns
// its first line.
func startHolder(t *testing.T, role, path string) (h *proc.Process, said string) {
	t.Helper()
	h = proc.Start(t, role, path)
	return h, h.Says(t)
}

// live makes a live instance and returns its id.
func live(t *testing.T, root string) string {
	_, id := startHolder(t, holdRole, root)
	return id
}

// stale makes an instance whose process was killed, and returns its id.
func stale(t *testing.T, root string) string {
	h, id := startHolder(t, holdRole, root)
	h.Kill()
	return id
}

// orphan makes data without a lock file and returns its id.
func orphan(t *testing.T, root string) string {
	id := strings.Repeat("0123456789abcdef", 2)
	require.NoError(t, os.MkdirAll(filepath.Join(root, "temp-dir-"+id, "0-layer"), 0o700))
	return id
}

// noControls wants text that a terminal shows and does not obey.
func noControls(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0) {
			assert.Failf(t, "control character", "%q in %q", r, text)
			return
		}
	}
}

func TestHelpOfEveryCommandSaysItsExitCodes(t *testing.T) {
	commands := [][]string{{"--help"}}
	for _, cmd := range newRoot().Commands() {
		commands = append(commands, []string{cmd.Name(), "--help"})
	}
	require.Len(t, commands, 13)
	for _, args := range commands {
		stdout, stderr, code := call(t, args...)
		assert.Zero(t, code, args)
		assert.Empty(t, stderr, args)
		assert.Contains(t, stdout, "Exit codes:", args)
	}
}

func TestVersionSaysWhatItWasBuiltFrom(t *testing.T) {
	stdout, stderr, code := call(t, "--version")
	assert.Zero(t, code, stderr)
	assert.Regexp(t, `^afterlock version \S+( \(commit [0-9a-f]+(, modified)?\))?, go1\.\S+, linux/\w+\n$`, stdout)
}

func TestUsageErrorsAreOneLineAndExitCode2(t *testing.T) {
	dir := makeNames(t, t.TempDir(), "file")
	for _, c := range []struct {
		args []string
		want string // in the line
	}{
		{[]string{"no-such-command"}, ""},
		{[]string{"ls"}, ""},
		{[]string{"check"}, "afterlock: accepts 1 arg(s), received 0; usage: afterlock check FILE [flags]\n"},
		{[]string{"claims", "x"}, ""},
		{[]string{"verify", "x"}, ""},
		{[]string{"ls", "--no-such-flag", "/"}, ""},
		{[]string{"ls", "/no/such/root"}, ""},
		{[]string{"recover"}, ""},
		{[]string{"recover", "--lock-grace", "-1s", dir}, ""},
		{[]string{"recover", "/no/such/root"}, ""},
		{[]string{"rm"}, ""},
		{[]string{"rm", "/"}, ""},
		{[]string{"verify", "--run", "no-such-stage"}, ""},
		{[]string{"verify", "--duration", "-1s"}, ""},
		{[]string{"verify", "--duration", "0s"}, ""},
		{[]string{"verify", "--dir", "/no/such/directory"}, ""},
		{[]string{"verify", "--dir", "/proc/self/exe"}, ""},
		{[]string{"verify", "--dir", ""}, ""},
		{[]string{"model", "Nothing"}, ""},
		{[]string{"model", "--all", "Gate"}, ""},
		{[]string{"model", "--dot", "x"}, ""},
		{[]string{"model", "Gate", "GateMount", "--dot", "x"}, ""},
		{[]string{"model", "Gate", "--workers", "-1"}, ""},
		{[]string{"upstream", "--older", "--killed"}, "--older and --killed exclude each other"},
		{[]string{"upstream", "word"}, `unknown argument "word"`},
		{[]string{"upstream", "--seconds", "NaN"}, "nor --seconds, which is a day at most"},
		{[]string{"upstream", "--seconds", "+Inf"}, "nor --seconds, which is a day at most"},
		{[]string{"upstream", "--runs", "-1"}, "must not be negative"},
		{[]string{"upstream", "--older", "--runs", "3"}, "--runs has no meaning for upstream --older"},
		{[]string{"upstream", "--seed", "2"}, "--seed has no meaning for upstream without a mode"},
		{[]string{"upstream", "--version", "v0.0.1", "--keep", dir}, "the directory is not empty"},
		{[]string{"upstream", "--dir", "/no/such/directory"}, ""},
		{[]string{"replay"}, "accepts 1 arg"},
		{[]string{"replay", "counterexample"}, "expected KIND:PROGRAM"},
		{[]string{"replay", "nothing:x"}, `schedule "nothing:x": expected one of box, conformance, counterexample, crash`},
		{[]string{"replay", "counterexample:Gate"}, `schedule "counterexample:Gate": no model`},
		{[]string{"replay", "counterexample:"}, "expected PROGRAM"},
		{[]string{"replay", "counterexample:UpstreamAsShipped/1"}, "expected counterexample:MODEL"},
		{[]string{"replay", "conformance:Gate/x"}, `schedule "conformance:Gate/x": step 1`},
		{[]string{"replay", "conformance:GateSwept/0.9"}, "no edge 9"},
		{[]string{"replay", "crash:x"}, "expected crash:SCENARIO"},
		{[]string{"replay", "soft:x"}, `none of kind "soft" any more`},
		{[]string{"replay", "box:x"}, "expected box:PROGRAM/STEPS"},
		{[]string{"replay", "counterexample:UpstreamAsShipped", "--runs", "0"}, "--runs must be at least 1"},
		{[]string{"replay", "counterexample:UpstreamAsShipped", "--dir", dir + "/none"}, "no such file"},
	} {
		stdout, stderr, code := call(t, c.args...)
		assert.Equal(t, 2, code, c.args)
		assert.Empty(t, stdout, c.args)
		assert.Equal(t, 1, strings.Count(stderr, "\n"), "%v: %q", c.args, stderr)
		assert.True(t, strings.HasPrefix(stderr, "afterlock: "), "%v: %q", c.args, stderr)
		assert.Contains(t, stderr, c.want)
	}
}

func TestStartBuildsNoTheory(t *testing.T) {
	assert.Less(t, testing.AllocsPerRun(1, func() { newRoot() }), 2_000.0, "each of 1,500 starts in the gate pays for it")
}
