//go:build linux

package testfs_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/testfs"
)

// Nobody runs the cleanups of a test process that is killed; its mounts go all
// the same.
func TestKilledTestLeavesNothingMounted(t *testing.T) {
	const variable, ready = "AFTERLOCK_TESTFS_KILLED", "mounted"
	if os.Getenv(variable) != "" {
		testfs.Tmpfs(t, "")
		testfs.Ext4(t, testfs.Ext4Options{})
		testfs.Fuse(t)
		testfs.ReadOnly(t, t.TempDir())
		fmt.Println(ready)
		io.Copy(io.Discard, os.Stdin)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("skipped, because mounting needs root")
	}
	base := t.TempDir()
	child := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), variable+"=1", "TMPDIR="+base)
	_, err := child.StdinPipe()
	require.NoError(t, err)
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != ready+"\n" {
		t.Skipf("skipped, because not everything can be mounted here: %s", line)
	}
	require.Positive(t, mountedBelow(t, base))
	require.NoError(t, child.Process.Kill())
	child.Wait()
	require.Eventually(t, func() bool {
		return mountedBelow(t, base) == 0 && loopDevicesBelow(t, base) == 0
	}, 10*time.Second, 10*time.Millisecond)
}
