package kernel_test

import (
	"errors"
	"os"
	"runtime"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The working directory in which Detach looks is a thread's that ends. It was the
// first thread's at times, which never does: a directory of an instance was busy for
// ever then, and a later change of directory was not seen in /proc.
func TestDetachLeavesTheWorkingDirectoryAlone(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	require.NoError(t, err)
	defer dir.Close()
	before, err := os.Readlink("/proc/self/cwd")
	require.NoError(t, err)
	for range 300 {
		require.Error(t, kernel.Linux().Detach(int(dir.Fd()), "nothing"))
		now, err := os.Readlink("/proc/self/cwd")
		require.NoError(t, err)
		require.Equal(t, before, now)
	}
}

// Who is on the first thread keeps it until another thread is done: or the scheduler, which
// has one turn to give here, gives that to the first thread again, for ever.
func TestOnThreadIsNeverTheFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	before := runtime.NumGoroutine()
	for range 300 {
		done := make(chan error, 1)
		go func() {
			done <- kernel.OnThread(func() error {
				if unix.Gettid() == unix.Getpid() {
					return errors.New("on the first thread")
				}
				return nil
			})
		}()
		for len(done) == 0 {
			if runtime.NumGoroutine() > before+100 {
				panic("one goroutine after the other is on the first thread")
			}
			runtime.Gosched()
		}
		require.NoError(t, <-done)
	}
}
