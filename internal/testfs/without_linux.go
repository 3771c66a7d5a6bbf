package testfs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"golang.org/x/sys/unix"

	"github.com/stretchr/testify/require"
)

// A Lack is what a kernel, a sandbox or a user does not have.
type Lack proc.Lack

// Keys of Lack.Calls that several tests need.
var (
	Unnamed, NoReplace, Exchange = proc.Unnamed, proc.NoReplace, proc.Exchange
	TakeLock, GetLock            = proc.TakeLock, proc.GetLock
)

const (
	lackVariable = "AFTERLOCK_TESTFS_LACK" // what a re-executed test binary does without
	execVariable = "AFTERLOCK_TESTFS_EXEC" // or the program that it becomes
	cannotLack   = "cannot do without: "
)

func init() {
	text, ok := os.LookupEnv(lackVariable)
	if !ok {
		return
	}
	os.Unsetenv(lackVariable)
	var l Lack
	err := json.Unmarshal([]byte(text), &l)
	if err == nil {
		err = l.Apply()
	}
	if program, ok := os.LookupEnv(execVariable); ok && err == nil {
		os.Unsetenv(execVariable)
		err = syscall.Exec(program, os.Args, os.Environ())
	}
	if err != nil {
		if !errors.Is(err, proc.ErrNoNumber) { // or the test fails
			fmt.Print(cannotLack)
		}
		fmt.Println(err)
		os.Exit(1)
	}
}

// Without runs the rest of the calling test, f, in a process of its own that
// does without l. What the test does before the call, that process does too.
func Without(t *testing.T, l Lack, f func(t *testing.T)) {
	t.Helper()
	if l.Alone(t) {
		f(t)
	}
}

// Alone is [Alone] without l.
func (l Lack) Alone(t *testing.T) bool {
	t.Helper()
	return Alone(t, func(cmd *exec.Cmd) { l.wrap(t, cmd) })
}

// Command makes cmd, which is not started and of this architecture, run without l.
func (l Lack) Command(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	program := cmd.Path
	if cmd.Path = executable(t); program == "/proc/self/exe" {
		program = cmd.Path // without /proc, too
	}
	cmd.Env = append(cmd.Env, execVariable+"="+program)
	l.wrap(t, cmd)
}

func (l Lack) wrap(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if l.Proc || l.User != 0 {
		needRoot(t)
	}
	text, err := json.Marshal(l)
	require.NoError(t, err)
	cmd.Env = append(cmd.Env, lackVariable+"="+string(text))
	if l.User != 0 {
		NeedUser(t, l.User)
		Reachable(t, os.TempDir())
	}
	if l.Proc {
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.Unshareflags |= unix.CLONE_NEWNS
	}
}

// NeedUser skips the test if this process cannot become the user: it is not root,
// or root of a user namespace that does not have the user.
func NeedUser(t testing.TB, user int) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped, because only root can become another user")
	}
	users, err := os.ReadFile("/proc/self/uid_map")
	require.NoError(t, err)
	for line := range strings.Lines(string(users)) {
		var first, outside, count int64 // up to 4294967295, on 32 bits too
		if n, _ := fmt.Sscan(line, &first, &outside, &count); n == 3 && int64(user) >= first && int64(user)-first < count {
			return
		}
	}
	t.Skipf("skipped, because this user namespace has no user %d", user)
}

// Apply is [proc.Lack.Apply].
func (l Lack) Apply() error { return proc.Lack(l).Apply() }
