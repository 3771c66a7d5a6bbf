package proc_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

type message struct{ Text string }

func init() {
	proc.Register("echo", func(arguments []string) {
		_, marked := os.LookupEnv(proc.Variable)
		proc.Fail(proc.Parent.Say("%q %v", arguments, marked))
		for {
			var m message
			if proc.Parent.Receive(&m) != nil {
				return
			}
			proc.Fail(proc.Parent.Send(m))
		}
	})
	proc.Register("parent", func([]string) {
		for range 3 {
			p := proc.New("deaf")
			proc.Fail(p.Start())
			fmt.Println(p.Process.Pid)
		}
		proc.Parent.Await()
	})
	proc.Register("deaf", func([]string) { // also to the end of its input
		for {
			_, _ = unix.Poll(nil, -1)
		}
	})
	proc.Register("knows less", func([]string) {
		var s unix.Statx_t
		proc.Fail(proc.Lack{Hidden: unix.STATX_ATTR_IMMUTABLE}.Apply())
		proc.Fail(unix.Statx(unix.AT_FDCWD, "/", 0, unix.STATX_BASIC_STATS, &s))
		fmt.Println(s.Attributes_mask&unix.STATX_ATTR_IMMUTABLE, s.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT, s.Ino)
		fmt.Println(unix.Statx(unix.AT_FDCWD, "/nowhere", 0, 0, &s))
	})
	proc.Register("fails", func([]string) { proc.Fail(errors.New("no luck")) })
	proc.Register("panics", func([]string) { panic("no luck") })
	proc.Register("cut off", func([]string) { fmt.Print("a line\nhalf a li") })
	proc.Begin(map[string]func([]string){"early": func([]string) { fmt.Print(initialised) }})
}

var initialised bool // the rest of the program

func init() { initialised = true }

func TestARoleThatBeginsWaitsForNoOtherInit(t *testing.T) {
	said, err := proc.New("early").Output()
	require.NoError(t, err)
	assert.Equal(t, "false", string(said))
}

func TestProcessAnswersUntilItsInputEnds(t *testing.T) {
	p := proc.Start(t, "echo", "a", "b c")
	assert.Equal(t, `["a" "b c"] false`, p.Says(t))
	for _, text := range []string{"one", "two\nlines"} {
		require.NoError(t, p.Send(message{text}))
		var m message
		require.NoError(t, p.Receive(&m))
		assert.Equal(t, text, m.Text)
	}
	require.NoError(t, p.End())
	assert.False(t, p.Killed())
}

func TestProcessEndsAsItsRoleSays(t *testing.T) {
	for role, wants := range map[string]string{
		"fails": "exit status 1: no luck", "panics": "exit status 2: panic: no luck", "nobody's": `exit status 2: no role "nobody's"`,
	} {
		p := proc.New(role)
		require.NoError(t, p.Start())
		assert.ErrorContains(t, p.End(), wants)
		assert.ErrorContains(t, p.End(), wants, "once more")
	}
}

func TestHiddenAttributesAreNotTold(t *testing.T) {
	var s unix.Statx_t
	require.NoError(t, unix.Statx(unix.AT_FDCWD, "/", 0, unix.STATX_BASIC_STATS, &s))
	output, err := proc.New("knows less").Output()
	if err != nil && regexp.MustCompile("seccomp: |hide attributes").MatchString(err.Error()) {
		t.Skipf("skipped, because calls cannot be answered here: %v", err)
	}
	require.NoError(t, err)
	assert.Equal(t, fmt.Sprintf("0 %d %d\nno such file or directory\n", unix.STATX_ATTR_MOUNT_ROOT, s.Ino), string(output))
}

func TestOutputIsAllThatItWrites(t *testing.T) {
	output, err := proc.New("echo", "x").Output()
	require.NoError(t, err)
	assert.Equal(t, "[\"x\"] false\n", string(output))
	_, err = proc.New("fails").Output()
	assert.ErrorContains(t, err, "exit status 1: no luck")
}

func TestALineThatIsCutOffIsNone(t *testing.T) {
	p := proc.Start(t, "cut off")
	assert.Equal(t, "a line", p.Says(t))
	_, err := p.Line()
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = p.Line()
	assert.ErrorIs(t, err, io.EOF)
	p = proc.Start(t, "cut off")
	assert.ErrorContains(t, p.Receive(new(message)), `not a message: "a line\n"`)
	assert.ErrorIs(t, p.Receive(new(message)), io.ErrUnexpectedEOF)
}

func TestKillWaitsForTheEndAndLeavesNothingOpen(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	proc.Start(t, "echo").Kill() // what the runtime opens once, it has opened
	before := descriptors()
	p := proc.Start(t, "echo")
	p.Says(t)
	p.Kill()
	p.Kill()
	assert.True(t, p.Killed())
	assert.ErrorIs(t, unix.Kill(p.Process.Pid, 0), unix.ESRCH)
	assert.Equal(t, before, descriptors())

	p = proc.New("echo")
	p.Path = "/nowhere"
	assert.ErrorIs(t, p.Start(), os.ErrNotExist)
	assert.Equal(t, before, descriptors())
}

// P starts processes W. P is killed. Every W ends.
func TestNoProcessOutlivesItsParent(t *testing.T) {
	parent := proc.Start(t, "parent")
	var fds []unix.PollFd
	for range 3 {
		var pid int
		require.NoError(t, parent.Receive(&pid))
		fd, err := unix.PidfdOpen(pid, 0)
		require.NoError(t, err)
		defer unix.Close(fd)
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
	parent.Kill()
	for i := range fds {
		n, err := 0, error(unix.EINTR)
		for err == unix.EINTR {
			n, err = unix.Poll(fds[i:i+1], 60_000)
		}
		require.NoError(t, err)
		require.Equal(t, 1, n, "process %d lives on", i)
	}
}

// A thread starts a process, and ends. The process lives.
func TestProcessOutlivesTheThreadThatAskedForIt(t *testing.T) {
	started := make(chan int)
	var p *proc.Process
	var startOn func()
	startOn = func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			go startOn() // on another: the first one does not end
			select {}
		}
		p = proc.Start(t, "echo")
		started <- unix.Gettid()
	}
	go startOn()
	task := fmt.Sprintf("/proc/self/task/%d", <-started)
	for _, err := os.Stat(task); err == nil; _, err = os.Stat(task) {
		runtime.Gosched()
	}
	p.Says(t)
	require.NoError(t, p.Send(message{"still there"}))
	var m message
	require.NoError(t, p.Receive(&m))
	require.NoError(t, p.End())
}
