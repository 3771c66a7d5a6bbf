package stress

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// parentVariable marks a process that runs the race in the directory it names.
const parentVariable = "AFTERLOCK_STRESS_PARENT"

func becomeParent() {
	dir := os.Getenv(parentVariable)
	if dir == "" {
		return
	}
	_, err := Race(context.Background(), Config{
		Dir: dir, Duration: time.Hour,
		Progress: func(string) { fmt.Println("running") },
	})
	fmt.Println("ended:", err)
	os.Exit(1)
}

// P starts workers W. P is killed. Every W ends.
func TestNoWorkerOutlivesItsParent(t *testing.T) {
	parent := exec.Command("/proc/self/exe")
	parent.Env = append(os.Environ(), parentVariable+"="+t.TempDir())
	stdout, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	t.Cleanup(func() { parent.Wait() })
	defer parent.Process.Kill()

	// P starts workers W.
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "running\n", line)
	workers := childrenOf(t, parent.Process.Pid)
	require.Len(t, workers, 6)
	var fds []unix.PollFd
	for _, worker := range workers {
		fd, err := unix.PidfdOpen(worker, 0)
		require.NoError(t, err)
		defer unix.Close(fd)
		fds = append(fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}

	// P is killed. Every W ends.
	require.NoError(t, parent.Process.Kill())
	for i := range fds {
		for {
			n, err := unix.Poll(fds[i:i+1], 60_000)
			if err == unix.EINTR {
				continue
			}
			require.NoError(t, err)
			require.Equal(t, 1, n, "worker %d lives on", workers[i])
			break
		}
	}
}

// childrenOf lists the children of all threads of a process.
func childrenOf(t *testing.T, pid int) (children []int) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skip("this kernel does not list children (CONFIG_PROC_CHILDREN)")
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, field := range strings.Fields(string(content)) {
			child, err := strconv.Atoi(field)
			require.NoError(t, err)
			children = append(children, child)
		}
	}
	return children
}
