package testfs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stretchr/testify/require"
)

// testVariable names the test that a re-executed test binary runs.
const testVariable = "AFTERLOCK_TESTFS_TEST"

// Alone runs the calling test by itself in a new process, which prepare may
// change, and reports true in that process. What the test does to its process
// stays there; what it does before the call, that process does too. In the calling
// process it reports false, and the test has passed, failed or skipped as it did
// there.
func Alone(t *testing.T, prepare func(*exec.Cmd)) bool {
	t.Helper()
	if strings.HasPrefix(os.Getenv(testVariable)+"/", t.Name()+"/") {
		return true
	}
	var pattern []string
	for _, part := range strings.Split(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(part)+"$")
	}
	base, err := os.MkdirTemp("", "alone")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(base) })
	if err := os.Chmod(base, 0o777); err != nil { // the process may be another user's
		t.Fatal(err)
	}
	cmd := exec.Command("", "-test.v", "-test.timeout=2m", fmt.Sprintf("-test.short=%t", testing.Short()), "-test.run="+strings.Join(pattern, "/"))
	cmd.Path = executable(t)
	cmd.Env = append(os.Environ(), testVariable+"="+t.Name(), "TMPDIR="+base)
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if prepare != nil {
		prepare(cmd)
	}
	output, err := cmd.CombinedOutput()
	text := string(output)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) {
		t.Skipf("skipped, because this user may not start such a process: %v", err)
	}
	for line := range strings.Lines(text) {
		if strings.Contains(line, "skipped, because") {
			t.Log(strings.TrimSpace(line))
		}
	}
	switch {
	case strings.Contains(text, cannotLack):
		t.Skipf("skipped: %s", text)
	case err != nil:
		t.Fatalf("in a process of its own: %v\n%s", err, text)
	case strings.Contains(text, "--- SKIP: "+t.Name()+" ("):
		t.SkipNow()
	case !strings.Contains(text, "--- PASS: "+t.Name()+" ("):
		t.Fatalf("the test did not run in a process of its own:\n%s", text)
	}
	return false
}

// OwnMounts is Alone with a mount namespace of its own, and the right to mount in
// it, if an ordinary user can have that.
func OwnMounts(t *testing.T) bool {
	t.Helper()
	return Alone(t, func(cmd *exec.Cmd) {
		if os.Geteuid() == 0 {
			cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
			return
		}
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWUSER | unix.CLONE_NEWNS
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	})
}

func executable(t testing.TB) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return self
}

// Reachable lets every user search the directories on the way to dir, or skips the
// test if some of them are not this user's to change.
func Reachable(t testing.TB, dir string) string {
	t.Helper()
	for at := filepath.Clean(dir); at != filepath.Dir(at); at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && info.Mode()&0o001 == 0 {
			err = os.Chmod(at, info.Mode().Perm()|0o111)
		}
		if err != nil {
			t.Skipf("skipped, because other users cannot reach %s: %v", dir, err)
		}
	}
	return dir
}
