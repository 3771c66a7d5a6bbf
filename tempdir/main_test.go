package tempdir_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// childVariable names the function that a re-executed test binary runs instead
// of the tests: a second process, and one that can be killed.
const childVariable = "AFTERLOCK_TEST_CHILD"

// children are the functions that a child process can run; files add theirs in
// an init function. What a child prints is for its parent; it fails by panic.
var children = map[string]func(arguments []string){}

func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv(childVariable); ok {
		children[name](os.Args[1:])
		return
	}
	os.Exit(m.Run())
}

// A process is a running child. It ends when its standard input is closed, if
// it waits for that, and in any case with the test.
type process struct {
	*exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// childCommand prepares a child; the caller may change it before start.
func childCommand(t testing.TB, name string, arguments ...string) *exec.Cmd {
	require.Contains(t, children, name)
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, arguments...)
	cmd.Env = append(os.Environ(), childVariable+"="+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// startChild starts a child process.
func startChild(t testing.TB, name string, arguments ...string) *process {
	return start(t, childCommand(t, name, arguments...))
}

func start(t testing.TB, cmd *exec.Cmd) *process {
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &process{Cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
}

// line waits for the next line that the child prints.
func (p *process) line(t testing.TB) string {
	require.True(t, p.lines.Scan(), "the child ended without a line")
	return p.lines.Text()
}

// kill sends SIGKILL and waits until the kernel has taken the process down.
func (p *process) kill(t testing.TB) {
	require.NoError(t, p.Process.Kill())
	p.Wait()
}

// finish lets a child that waits for its standard input end, and wants success.
func (p *process) finish(t testing.TB) {
	require.NoError(t, p.stdin.Close())
	for p.lines.Scan() {
	}
	require.NoError(t, p.Wait())
}

// say prints a line for the parent; awaitParent blocks until the parent is done.
func say(format string, arguments ...any) {
	fmt.Println(strings.TrimSpace(fmt.Sprintf(format, arguments...)))
}
func awaitParent() { io.Copy(io.Discard, os.Stdin) }

// must is for child processes, which have no *testing.T.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
