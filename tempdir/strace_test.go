//go:build linux

package tempdir_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	// traced ROOT VICTIM: one create, stage and close on one thread, with a
	// failing access(2) of a telling path between them.
	children["traced"] = func(arguments []string) {
		runtime.LockOSThread()
		mark := func(name string) { unix.Access("/mark/"+name, 0) }
		root := must(tempdir.Open(arguments[0]))
		mark("create")
		dir, err := root.Create()
		mark("stage")
		must(0, err)
		err = dir.StageDeletion(arguments[1])
		mark("close")
		must(0, err)
		err = dir.Close(background)
		mark("end")
		must(0, err)
	}
}

// any32 gives calls that are called otherwise on 32 bits the names of 64 bits.
var any32 = strings.NewReplacer("fcntl64", "fcntl", "fstat64", "fstat", "fstatfs64", "fstatfs")

// runtimeCalls are made by the Go runtime when it likes to, and by nothing here.
var runtimeCalls = []string{
	"clone", "clone3", "epoll_create1", "epoll_ctl", "epoll_pwait", "exit", "futex", "getpid", "gettid", "madvise",
	"mmap", "munmap", "mprotect", "nanosleep", "prctl", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
	"sched_getaffinity", "sched_yield", "set_robust_list", "sigaltstack", "tgkill", "timer_create", "timer_delete",
	"timer_settime", "restart_syscall", "futex_time64", "mmap2", "timer_settime64",
}

// The view from outside, which no call can bypass: what one create, stage and
// close cost. Upstream needs 12 for the first.
func TestSystemCallsAsStraceListsThem(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("skipped, because there is no strace")
	}
	root := openRoot(t)
	victim := beside(root, "victim")
	require.NoError(t, os.Mkdir(victim, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(victim, "file"), nil, 0o644))
	log := beside(root, "strace")
	cmd := childCommand(t, "traced", root.Path(), victim)
	cmd.Args = append([]string{strace, "-f", "-qq", "-o", log, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = strace
	cmd.Stderr = nil
	output, err := cmd.CombinedOutput()
	if err != nil && strings.Contains(string(output), "ptrace") {
		t.Skipf("skipped, because strace may not trace here: %s", output)
	}
	require.NoError(t, err, "%s", output)
	content, err := os.ReadFile(log)
	require.NoError(t, err)

	calls := map[string][]string{}
	thread, section := "", ""
	for _, match := range regexp.MustCompile(`(?m)^(\d+) +(\w+)\((.*)$`).FindAllStringSubmatch(string(content), -1) {
		if _, name, ok := strings.Cut(match[3], `"/mark/`); ok {
			thread, section = match[1], name[:strings.IndexByte(name, '"')]
		} else if match[1] == thread && section != "" && !slices.Contains(runtimeCalls, match[2]) {
			calls[section] = append(calls[section], any32.Replace(match[2]))
		}
	}
	delete(calls, "end")
	// For the id; newer kernels answer without a system call.
	calls["create"] = slices.DeleteFunc(calls["create"], func(name string) bool { return name == "getrandom" })
	for section, names := range calls {
		t.Logf("%-6s %d: %s", section, len(names), strings.Join(names, " "))
	}
	sync := []string{"fsync"} // where the file system does not order renames
	if root.Ordered() {
		sync = nil
	}
	assert.Equal(t, map[string][]string{
		"create": {"openat", "fcntl", "pwrite64", "linkat", "mkdirat"},
		"stage":  {"renameat2"},
		"close": slices.Concat([]string{"openat2"}, sync, []string{
			"getdents64",                                                           // the data directory
			"openat2", "getdents64", "unlinkat", "getdents64", "unlinkat", "close", // the victim: one file
			"getdents64", "unlinkat", "close", // the data directory
			"statx", "statx", "unlinkat", "close", // recheck, lock file
		}),
	}, calls)
}
