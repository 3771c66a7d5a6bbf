//go:build linux

package testfs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/testfs"
)

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
