//go:build linux

package layerstore_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
)

// takeAlone is AwaitLock where nobody else is there: EDEADLK if it would wait for a lock
// of this process. What another test forks has this process's locks until its exec has
// closed its descriptors, which may be after the fork is over here: that is waited for.
func takeAlone(fd int, r kernel.ByteRange) error {
	err := kernel.LinuxDisk().TakeLock(fd, r)
	switch {
	case err != unix.EAGAIN:
		return err
	case lockedHere(fd, r):
		return unix.EDEADLK
	}
	return kernel.LinuxDisk().AwaitLock(fd, r)
}

// lockedHere says whether a descriptor of this process has a lock on the byte.
func lockedHere(fd int, r kernel.ByteRange) bool {
	var want, have unix.Stat_t
	must(0, unix.Fstat(fd, &want))
	for _, descriptor := range must(os.ReadDir("/proc/self/fdinfo")) {
		n := must(strconv.Atoi(descriptor.Name()))
		if unix.Fstat(n, &have) != nil || have.Dev != want.Dev || have.Ino != want.Ino {
			continue
		}
		info, _ := os.ReadFile("/proc/self/fdinfo/" + descriptor.Name())
		for _, lock := range ofdLock.FindAllSubmatch(info, -1) {
			first := must(strconv.ParseInt(string(lock[1]), 10, 64))
			last, err := strconv.ParseInt(string(lock[2]), 10, 64)
			if first <= r.Offset && (err != nil || r.Offset <= last) { // it may be EOF
				return true
			}
		}
	}
	return false
}

// ofdLock is a lock as a file in /proc/self/fdinfo has it, with its first and last byte.
var ofdLock = regexp.MustCompile(`(?m)^lock:.* OFDLCK .* (\d+) (\d+|EOF)$`)

// heldForWriting reports whether anybody has bytes of the store's lock file for itself.
func heldForWriting(path string, from, bytes int64) bool {
	f := must(os.Open(filepath.Join(path, "store.lock")))
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_RDLCK, Start: from, Len: bytes}
	must(0, unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l))
	return l.Type == unix.F_WRLCK
}

func TestALockOfThisProcessIsNotWaitedFor(t *testing.T) {
	f := must(os.Create(filepath.Join(t.TempDir(), "store.lock")))
	defer f.Close()
	other := must(os.Open(f.Name()))
	defer other.Close()
	first, second := kernel.ByteRange{Exclusive: true}, kernel.ByteRange{Offset: 1}
	require.NoError(t, takeAlone(int(f.Fd()), first))
	assert.Equal(t, unix.EDEADLK, takeAlone(int(other.Fd()), kernel.ByteRange{}))
	assert.NoError(t, takeAlone(int(other.Fd()), second))
}
