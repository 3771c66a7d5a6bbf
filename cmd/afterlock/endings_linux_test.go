package main

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// V runs. V is told to end. V ends its workers, removes its scratch directory,
// and is undecided; it prints how to repeat it.
func TestVerifyThatIsInterruptedCleansUp(t *testing.T) {
	for _, number := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		t.Run(unix.SignalName(number), func(t *testing.T) {
			if signal.Ignored(number) {
				t.Skip("the tests run with this signal ignored, as under nohup, and so does what they start")
			}
			t.Parallel()
			dir := t.TempDir()
			cmd := program("verify", "--run", "traces", "--dir", dir, "--duration", "1h", "--seed", "5", "-v")
			var stdout bytes.Buffer
			cmd.Stdout = &stdout
			lines := untilItSays(t, cmd, "msg=recording") // it works
			require.NoError(t, cmd.Process.Signal(number))
			for lines.Scan() {
			}
			require.Error(t, cmd.Wait())
			assert.Equal(t, 3, cmd.ProcessState.ExitCode())
			assert.Contains(t, stdout.String(), "traces: undecided, because interrupted")
			assert.Regexp(t, "(?m)^repeat: afterlock verify --run traces --seed 5 --dir '?"+regexp.QuoteMeta(dir)+"'? --duration 1h0m0s$", stdout.String())
			onlyNames(t, dir)
		})
	}
}

// untilItSays starts a command and returns its standard error, read up to a line
// with the text.
func untilItSays(t *testing.T, cmd *exec.Cmd, text string) *bufio.Scanner {
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(stderr)
	for lines.Scan() && !strings.Contains(lines.Text(), text) {
	}
	return lines
}

// unread is a pipe whose reader has gone away.
func unread(t *testing.T) *os.File {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	t.Cleanup(func() { writer.Close() })
	return writer
}

// When a replay writes first, there is a scratch directory.
func TestCommandsThatNobodyReadsCleanUp(t *testing.T) {
	dir := t.TempDir()
	var read bytes.Buffer
	verify := program("verify", "--run", "traces", "--dir", dir, "--duration", "1h")
	verify.Stdout, verify.Stderr = &read, unread(t)
	replay := program("replay", "counterexample:UpstreamAsShipped", "--runs", "1000000", "--dir", dir)
	replay.Stdout, replay.Stderr = unread(t), &read
	for _, cmd := range []*exec.Cmd{verify, replay} {
		require.Error(t, cmd.Run())
		assert.Equal(t, 3, cmd.ProcessState.ExitCode())
		assert.Contains(t, read.String(), "interrupted\n")
		read.Reset()
		onlyNames(t, dir)
	}
}

func TestInterruptedCommandsGiveNoVerdict(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	for _, args := range [][]string{
		{"model", "--all"},
		{"claims"},
		{"check", "../../model/conformance/trace/testdata/ghost-bad.txt"},
		{"replay", "counterexample:UpstreamAsShipped", "--dir", t.TempDir()},
		{"replay", "conformance:GateSwept/0.2.2.2.0!1", "--dir", t.TempDir()},
	} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 3, run(ctx, args, &stdout, &stderr), args)
		assert.Equal(t, "afterlock: interrupted\n", stderr.String(), args)
		assert.Empty(t, stdout.String(), args)
	}
}

func TestOutputThatCannotBeWrittenIsNoVerdict(t *testing.T) {
	for _, args := range [][]string{
		{"model"},
		{"replay", "conformance:Gate", "--dir", t.TempDir()},
		{"replay", "counterexample:UpstreamAsShipped", "--dir", t.TempDir()},
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		require.NoError(t, err)
		cmd := program(args...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &stderr
		require.Error(t, cmd.Run())
		require.NoError(t, full.Close())
		assert.Equal(t, 2, cmd.ProcessState.ExitCode(), args)
		assert.Contains(t, stderr.String(), "no space left on device", args)
	}
}
