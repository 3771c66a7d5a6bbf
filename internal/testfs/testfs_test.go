//go:build linux

package testfs_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
)

func TestKinds(t *testing.T) {
	for _, kind := range testfs.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			base := ""
			t.Run("mounted", func(t *testing.T) {
				dir := kind.Make(t)
				base = filepath.Dir(dir)
				require.Equal(t, kind.Mounted, mountedBelow(t, base) > 0)
				fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
				if err == nil {
					unix.Close(fd)
				}
				require.Equal(t, kind.Name == "fuse", err != nil, "O_TMPFILE: %v", err)

				open := func() *os.File {
					f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
					require.NoError(t, err)
					t.Cleanup(func() { f.Close() })
					return f
				}
				holder, other := open(), open()
				require.NoError(t, lock(holder))
				require.ErrorIs(t, lock(other), unix.EAGAIN, "held by another descriptor of one process")
				require.NoError(t, open().Close(), "closing an unrelated descriptor")
				require.ErrorIs(t, lock(other), unix.EAGAIN)
				require.NoError(t, holder.Close())
				require.NoError(t, lock(other))

				from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
				require.NoError(t, os.WriteFile(from, nil, 0o600))
				require.NoError(t, os.WriteFile(to, nil, 0o600))
				rename := func() error {
					return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
				}
				require.ErrorIs(t, rename(), unix.EEXIST)
				require.NoError(t, os.Remove(to))
				require.NoError(t, rename())
			})
			if base == "" {
				t.Skip("skipped, because it was not made")
			}
			require.Zero(t, mountedBelow(t, base))
			require.Zero(t, loopDevicesBelow(t, base))
		})
	}
}

func lock(f *os.File) error {
	return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

// mountedBelow counts the mounts below dir.
func mountedBelow(t *testing.T, dir string) int { return len(testfs.MountsBelow(t, dir)) }

// loopDevicesBelow counts the loop devices with a backing file below dir.
func loopDevicesBelow(t *testing.T, dir string) int {
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	require.NoError(t, err)
	n := 0
	for _, file := range files {
		// An error: the device is being detached.
		if backing, err := os.ReadFile(file); err == nil && strings.HasPrefix(string(backing), dir+"/") {
			n++
		}
	}
	return n
}

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

func TestWithoutCalls(t *testing.T) {
	testfs.Without(t, testfs.Lack{Calls: map[string]syscall.Errno{
		"openat2": unix.ENOSYS, testfs.NoReplace: unix.EINVAL, testfs.TakeLock: unix.ENOLCK, testfs.Unnamed: unix.EOPNOTSUPP,
	}}, func(t *testing.T) {
		dir := t.TempDir()
		_, err := unix.Openat2(unix.AT_FDCWD, dir, &unix.OpenHow{})
		require.Equal(t, unix.ENOSYS, err)
		_, err = unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR, 0o600)
		require.Equal(t, unix.EOPNOTSUPP, err)
		f, err := os.Create(filepath.Join(dir, "file"))
		require.NoError(t, err)
		defer f.Close()
		rename := func(flags uint) error {
			return unix.Renameat2(unix.AT_FDCWD, f.Name(), unix.AT_FDCWD, f.Name()+"2", flags)
		}
		require.Equal(t, unix.EINVAL, rename(unix.RENAME_NOREPLACE))
		require.NoError(t, rename(0))
		require.Equal(t, unix.ENOLCK, unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
		require.NoError(t, unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
	})
}

func TestWithoutProcAsAnotherUser(t *testing.T) {
	testfs.Without(t, testfs.Lack{Proc: true, User: 12345}, func(t *testing.T) {
		require.NoFileExists(t, "/proc/self")
		require.Equal(t, 12345, os.Geteuid())
		require.NoError(t, os.WriteFile(filepath.Join(t.TempDir(), "mine"), nil, 0o600))
	})
}

func TestFailureWithoutIsOne(t *testing.T) {
	const variable = "AFTERLOCK_TESTFS_FAILS"
	if os.Getenv(variable) != "" {
		testfs.Without(t, testfs.Lack{}, func(t *testing.T) { t.Fatal("on purpose") })
		return
	}
	child := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), variable+"=1")
	output, err := child.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(output), "on purpose")
}
