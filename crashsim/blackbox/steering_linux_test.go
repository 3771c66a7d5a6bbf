//go:build amd64 || arm64

package blackbox

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

const shell = "/bin/sh"

// steering returns a Steering of a new scene, or skips the test.
func steering(t *testing.T, mutating bool) (*Steering, string) {
	t.Helper()
	if _, err := os.Stat(shell); err != nil {
		t.Skipf("skipped, because there is no shell: %v", err)
	}
	scene, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	s, err := NewSteering(scene, mutating, time.Minute)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("skipped, because processes cannot be supervised here: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s, scene
}

func makesDirectory(base string) func(Call) bool {
	return func(c Call) bool {
		return strings.HasPrefix(c.Name, "mkdir") && filepath.Base(c.Paths[0]) == base
	}
}

func TestWhatAProgramStartsIsFollowed(t *testing.T) {
	s, scene := steering(t, true)
	p, err := s.Start(shell, nil, "-c", `(exit 0); cd "$0"; /bin/mkdir a; /bin/mkdir "$0/b"; echo made; exit 3`, scene)
	require.NoError(t, err)
	for _, base := range []string{"a", "b"} {
		there, err := p.Until(makesDirectory(base))
		require.NoError(t, err)
		require.True(t, there)
		c, _ := p.Stopped()
		assert.Equal(t, filepath.Join(scene, base), c.Paths[0])
		assert.NoDirExists(t, filepath.Join(scene, base))
		require.NoError(t, p.Step())
		assert.DirExists(t, filepath.Join(scene, base))
	}
	require.NoError(t, p.Run())
	code, exited := p.Exit()
	assert.True(t, exited)
	assert.Equal(t, 3, code)
	assert.Equal(t, "made", p.Output())
}

func TestWhatAProgramHasStartedIsKilledWithIt(t *testing.T) {
	s, scene := steering(t, true)
	p, err := s.Start(shell, nil, "-c", `/bin/mkdir "$0/a"; /bin/mkdir "$0/b"`, scene)
	require.NoError(t, err)
	there, err := p.Until(makesDirectory("b"))
	require.NoError(t, err)
	require.True(t, there)
	group := p.Pid()
	p.Kill()
	code, exited := p.Exit()
	assert.True(t, exited)
	assert.Equal(t, -1, code)
	assert.Eventually(t, func() bool { return !running(group) }, time.Minute, time.Millisecond)
	assert.DirExists(t, filepath.Join(scene, "a"))
	assert.NoDirExists(t, filepath.Join(scene, "b"))
}

// running reports whether a process of the group is there that is not dead.
func running(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		stat, _ := os.ReadFile(path)
		_, rest, _ := strings.Cut(string(stat), ") ")
		if f := strings.Fields(rest); len(f) > 2 && f[0] != "Z" && f[0] != "X" && f[2] == strconv.Itoa(group) {
			return true
		}
	}
	return false
}

func TestAProcessInAnotherRootIsSeenInTheScene(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped, because another root needs root")
	}
	s, scene := steering(t, true)
	self, err := os.Executable()
	require.NoError(t, err)
	p, err := s.Start(self, []string{proc.Variable + "=" + chrootRole}, scene)
	require.NoError(t, err)
	there, err := p.Until(makesDirectory("inside"))
	require.NoError(t, err)
	require.True(t, there, p.Output())
	c, _ := p.Stopped()
	assert.Equal(t, filepath.Join(scene, "inside"), c.Paths[0])
	require.NoError(t, p.Run())
	assert.DirExists(t, filepath.Join(scene, "inside"))
}

func TestWhatAProgramMountsIsMountedForItOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped, because mounting needs root")
	}
	s, scene := steering(t, true)
	p, err := s.Start(shell, nil, "-c", `/bin/mount -t tmpfs none "$0" && /bin/mkdir "$0/inside" && echo made`, scene)
	require.NoError(t, err)
	there, err := p.Until(makesDirectory("inside"))
	require.NoError(t, err)
	require.True(t, there, p.Output())
	c, _ := p.Stopped()
	assert.Equal(t, filepath.Join(scene, "inside"), c.Paths[0])
	require.NoError(t, p.Run())
	assert.Equal(t, "made", p.Output())
	assert.NoDirExists(t, filepath.Join(scene, "inside"))
}

// Many are started one after the other, and what is left of each adds up.
func TestNothingIsLeftOpenByASteering(t *testing.T) {
	pipes := func() (n int) {
		names, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		for _, name := range names {
			if target, _ := os.Readlink("/proc/self/fd/" + name.Name()); strings.HasPrefix(target, "pipe:") {
				n++
			}
		}
		return n
	}
	_, scene := steering(t, true) // or skips
	before := pipes()
	s, err := NewSteering(scene, true, time.Minute)
	require.NoError(t, err)
	exited, err := s.Start(shell, nil, "-c", "exit 3")
	require.NoError(t, err)
	require.NoError(t, exited.Run())
	stopped, err := s.Start(shell, nil, "-c", `/bin/mkdir "$0/a"`, scene)
	require.NoError(t, err)
	there, err := stopped.Until(makesDirectory("a"))
	require.NoError(t, err)
	require.True(t, there)
	assert.Greater(t, pipes(), before)
	s.Close()
	assert.Equal(t, before, pipes())
}

// In chrootRole a process changes its root to the first argument, and makes a
// directory there.
const chrootRole = "chroot"

func init() {
	proc.Register(chrootRole, func(arguments []string) {
		proc.Fail(unix.Chroot(arguments[0]))
		proc.Fail(os.Mkdir("/inside", 0o700))
	})
}
