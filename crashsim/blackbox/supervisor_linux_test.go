//go:build amd64 || arm64

package blackbox

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// supervised starts a driver and gives it a command on a scene.
func supervised(t *testing.T) (*worker, *program, *process) {
	t.Helper()
	_, w := newCampaign(t)
	p := &programs()[0]
	require.NoError(t, w.prepare(p.scene))
	d, err := w.begin(p)
	require.NoError(t, err)
	return w, p, d
}

func TestAStoppedCallIsNotMadeUntilItIsLetGo(t *testing.T) {
	w, p, d := supervised(t)
	for d.busy() {
		before, err := w.look()
		require.NoError(t, err)
		again, err := w.look()
		require.NoError(t, err)
		require.Equal(t, before, again)
		mutates := d.at.call.mutating()
		require.NoError(t, w.super.step(d))
		after, err := w.look()
		require.NoError(t, err)
		if !mutates {
			require.Equal(t, before.text(), after.text())
		}
	}
	after, err := w.look()
	require.NoError(t, err)
	assert.NotEqual(t, p.scene.text(), after.text())
}

func TestAKilledProcessMakesNoFurtherCall(t *testing.T) {
	w, _, d := supervised(t)
	for w.super.resolve(d.at).name != "renameat2" {
		require.NoError(t, w.super.step(d))
	}
	w.kill(d)
	assert.True(t, d.dead)
	assert.ErrorIs(t, unix.Kill(d.pid, 0), unix.ESRCH)
	assert.DirExists(t, filepath.Join(w.scene, "layers/v1"))
}

func TestAnErrnoIsAnsweredInsteadOfTheCall(t *testing.T) {
	w, _, d := supervised(t)
	for w.super.resolve(d.at).name != "renameat2" {
		require.NoError(t, w.super.step(d))
	}
	require.NoError(t, w.super.fail(d, unix.ENOSPC))
	for d.busy() {
		require.NoError(t, w.super.step(d))
	}
	answer, ok, err := w.end(d)
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Contains(t, answer, unix.ENOSPC.Error())
	assert.DirExists(t, filepath.Join(w.scene, "layers/v1"))
	_, err = w.look()
	require.NoError(t, err)
}

func TestTheRestOfThisProcessIsNotFiltered(t *testing.T) {
	newCampaign(t) // nobody receives now: a call that stopped would never return
	done := make(chan error)
	go func() {
		file := filepath.Join(t.TempDir(), "unfiltered")
		err := os.WriteFile(file, []byte("x"), 0o600)
		if err == nil {
			err = os.Remove(file)
		}
		done <- err
	}()
	assert.NoError(t, <-done)
}

func TestAProcessThatNeverStopsIsReported(t *testing.T) {
	sleep := "/bin/sleep"
	if _, err := os.Stat(sleep); err != nil {
		t.Skipf("skipped, because there is no program that waits: %v", err)
	}
	newCampaign(t) // or skips
	s, err := newSupervisor(t.TempDir(), allCalls, 0, 50*time.Millisecond, false)
	require.NoError(t, err)
	defer s.close()
	_, err = s.start("sleep", image{path: sleep, env: environment}, "1000")
	assert.ErrorContains(t, err, "no process stopped")
}

func TestAProcessThatAProgramStartsIsReported(t *testing.T) {
	_, w := newCampaign(t)
	if _, err := os.Stat(shell); err != nil {
		t.Skipf("skipped, because there is no shell: %v", err)
	}
	_, err := w.super.start("shell", image{path: shell, env: environment}, "-c", `/bin/rmdir "$0"; exit 0`, w.scene)
	assert.ErrorContains(t, err, "one of those under supervision has started it")
}

// These are the calls that the golden lines of tempdir have, in their order, and
// those of package os. Of a driver that has done a command they are watched with less
// care, see supervisor.sort.
func TestEveryCallIsAStop(t *testing.T) {
	_, w := newCampaign(t)
	layer := strings.Repeat(" newfstatat newfstatat mkdirat openat write close", 2) + " renameat2"
	removal := " openat2 getdents64 unlinkat openat2 getdents64 unlinkat getdents64 unlinkat close getdents64 unlinkat close"
	for name, calls := range map[string]string{
		"delete": " mkdirat renameat2 renameat2 openat2 getdents64" + removal + removal + " getdents64 unlinkat",
		"add":    " mkdirat" + layer + layer + " openat2 getdents64 unlinkat",
		"empty":  " mkdirat unlinkat",
	} {
		if name != "empty" {
			calls += " close"
		}
		want := strings.Fields("openat2 fstatfs statx openat fcntl pwrite64 linkat" + calls + " statx statx unlinkat close close")
		for range 3 {
			var stops []string
			w.watch(t, findProgram(name), func(at *stop) { stops = append(stops, at.call.name) })
			twice := func(a, b string) bool { return a == b && a == "getdents64" } // a list may take two calls
			assert.Equal(t, want, slices.CompactFunc(stops, twice), name)
		}
	}
}

func TestAProgramThatDoesNotExistIsAnError(t *testing.T) {
	_, w := newCampaign(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // where it could wait for itself
	_, err := w.super.start("none", image{path: filepath.Join(t.TempDir(), "program")})
	assert.ErrorIs(t, err, unix.ENOENT)
	_, err = w.driver("tempdir")
	assert.NoError(t, err, "and the supervisor still works")
}

// Ctrl-C at a terminal ends the supervisor in order, and not its processes
// under it.
func TestASignalToTheGroupOfTheSupervisorDoesNotReachItsProcesses(t *testing.T) {
	_, w := newCampaign(t)
	p, err := w.driver("tempdir")
	require.NoError(t, err)
	group, err := unix.Getpgid(p.pid)
	require.NoError(t, err)
	assert.Equal(t, p.pid, group)
}

func TestNoLauncherHasTheMainThread(t *testing.T) {
	threads, end := make(chan int), make(chan struct{})
	defer close(end)
	for range 50 { // each keeps its thread, so that the main one is the next sooner or later
		go onOwnThread(func() {
			threads <- unix.Gettid()
			<-end
		})
		require.NotEqual(t, unix.Getpid(), <-threads)
	}
}
