package testfs

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Fuse mounts a file system in user space over an empty directory. It has no
// O_TMPFILE, so that the fallback of those who want it can be tested, and the
// kernel keeps its locks, as it does for most of its kind.
func Fuse(t testing.TB) string {
	t.Helper()
	target := t.TempDir()
	FuseAt(t, target)
	return target
}

// FuseInterrupted is Fuse with a server that answers EINTR to every second
// request to open, make, remove or rename something, before it does anything.
func FuseInterrupted(t testing.TB) string {
	t.Helper()
	target := t.TempDir()
	FuseAt(t, target, "interrupted")
	return target
}

// fuseProgram stays open: fuseServer's path is the descriptor's.
var fuseProgram *os.File

// fuseServer builds the server, which is a program of its own: whoever imports
// tempdir would get the FUSE library in go.sum otherwise, by way of its tests. It
// returns a path that names the program without leaving a file behind.
var fuseServer = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "fuseserver-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "fuseserver")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "github.com/afterlock/afterlock/internal/testfs/fuseserver")
	build.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "GOARCH=") }), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	if fuseProgram, err = os.Open(path); err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/self/fd/%d", fuseProgram.Fd()), nil
})

// FuseAt is Fuse that mounts at target. kill ends its server: from then on every
// call there fails with ENOTCONN.
func FuseAt(t testing.TB, target string, mode ...string) (kill func()) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped, because -short: building the FUSE server takes long")
	}
	needRoot(t)
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skipf("skipped, because there is no FUSE: %v", err)
	}
	program, err := fuseServer()
	if err != nil {
		t.Skipf("skipped, because the FUSE server of the tests cannot be built here: %v", err)
	}
	server := exec.Command(program, append([]string{t.TempDir(), target}, mode...)...)
	server.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdin, err := server.StdinPipe()
	require.NoError(t, err)
	stdout, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	kill = func() {
		server.Process.Kill()
		server.Wait()
	}
	t.Cleanup(func() {
		unmount(t, target)
		stdin.Close()
		// A test that failed may have left something open: then the server would
		// serve it for ever, and the test would hang instead of failing.
		kill()
	})
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); strings.TrimSpace(line) != "mounted" {
		t.Skipf("skipped, because FUSE does not work here: %s", line)
	}
	return kill
}
