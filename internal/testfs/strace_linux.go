package testfs

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Strace runs cmd, which is not started, and returns the calls of all its threads
// as strace lists them with the options; or it skips the test.
func Strace(t testing.TB, cmd *exec.Cmd, options ...string) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("skipped, because there is no strace")
	}
	log := filepath.Join(t.TempDir(), "strace")
	// By its path: "/proc/self/exe" would be strace.
	cmd.Args = slices.Concat([]string{strace, "-f", "-qq", "-o", log}, options, []string{executable(t)}, cmd.Args[1:])
	cmd.Path = strace
	cmd.Stderr = nil
	output, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(output), "ptrace") {
		t.Skipf("skipped, because strace may not trace here: %s", output)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	calls, err := os.ReadFile(log)
	require.NoError(t, err)
	return whole(string(calls))
}

// whole joins the two halves of calls that others interrupted in the log.
func whole(log string) string {
	var b strings.Builder
	begun := map[string]string{} // by thread
	for line := range strings.Lines(log) {
		thread, _, _ := strings.Cut(line, " ")
		if half, cut := strings.CutSuffix(line, "<unfinished ...>\n"); cut {
			begun[thread] = strings.TrimRight(half, " ")
			if strings.HasSuffix(begun[thread], ",") {
				begun[thread] += " "
			}
			continue
		}
		if _, rest, resumed := strings.Cut(line, " resumed>"); resumed {
			line = begun[thread] + strings.TrimPrefix(rest, " ")
		}
		b.WriteString(line)
	}
	return b.String()
}

// Any32 gives calls that are called otherwise on 32 bits the names of 64 bits.
var Any32 = strings.NewReplacer("fcntl64", "fcntl", "fstatat64", "newfstatat", "fstat64", "fstat", "fstatfs64", "fstatfs", "statfs64", "statfs")

// RuntimeCalls are made by the Go runtime when it likes to.
var RuntimeCalls = []string{
	"clone", "clone3", "epoll_create1", "epoll_ctl", "epoll_pwait", "exit", "futex", "getpid", "gettid", "madvise",
	"mmap", "munmap", "mprotect", "nanosleep", "prctl", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"sched_getaffinity", "sched_yield", "set_robust_list", "sigaltstack", "tgkill", "timer_create", "timer_delete",
	"timer_settime", "restart_syscall", "futex_time64", "mmap2", "timer_settime64",
}
