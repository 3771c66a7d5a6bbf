//go:build linux

package tempdir_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// pages makes a directory with so many files of one page each.
func pages(t *testing.T, path string, files int) string {
	t.Helper()
	require.NoError(t, os.Mkdir(path, 0o700))
	for n := range files {
		require.NoError(t, os.WriteFile(filepath.Join(path, fmt.Sprint(n)), []byte{1}, 0o600))
	}
	return path
}

// A removal takes as long as its names or its bytes may, with as many workers as there
// are, and what was not removed before is made up for in small part only.
func TestRate(t *testing.T) {
	page := int64(os.Getpagesize())
	for _, c := range []struct {
		names, bytes int64
		took         time.Duration // of 99 files of one page, and their directory
	}{
		{0, 0, 0},
		{100, 0, time.Second},
		{10, 1 << 40, 10 * time.Second},
		{100000, 0, time.Millisecond},
		{0, page, 99 * time.Second},
		{1, page, 100 * time.Second},
		{2, page, 99*time.Second + 400*time.Millisecond}, // the directory waits for its name
	} {
		for _, workers := range []int{1, 3} {
			base := testfs.InMemory(t)
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				rate := tempdir.Rate(c.names, c.bytes)
				require.NoError(t, tempdir.Remove(background, pages(t, filepath.Join(base, "a"), 99), rate, tempdir.Eager(workers)))
				require.InDelta(t, c.took, time.Since(begin), float64(time.Millisecond), "%+v", c)

				time.Sleep(time.Hour)
				begin = time.Now()
				require.NoError(t, tempdir.Remove(background, pages(t, filepath.Join(base, "b"), 99), rate, tempdir.Eager(workers)))
				require.InDelta(t, max(c.took-100*time.Millisecond, 0), time.Since(begin), float64(time.Millisecond), "%+v", c)
			})
		}
	}
}

// A clock that is set while something is removed costs or gains one name, and no more.
func TestRateOfAClockThatIsSet(t *testing.T) {
	for set, took := range map[time.Duration]time.Duration{
		-time.Hour: 1100 * time.Millisecond, 0: time.Second, time.Hour: 900 * time.Millisecond,
	} {
		base := testfs.InMemory(t)
		synctest.Test(t, func(t *testing.T) {
			looks, begin := 0, time.Now()
			clock := kernel.WithClock[tempdir.Option](func() time.Time {
				if looks++; looks > 5 {
					return time.Now().Add(set)
				}
				return time.Now()
			})
			require.NoError(t, tempdir.Remove(background, pages(t, filepath.Join(base, "a"), 9), tempdir.Rate(10, 0), clock))
			require.Greater(t, looks, 9)
			require.InDelta(t, took, time.Since(begin), float64(time.Millisecond), set)
		})
	}
}

// Who waits for the rate is not deaf.
func TestRateEndsWithTheContext(t *testing.T) {
	base := testfs.InMemory(t)
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(background, 30*time.Second)
		defer cancel()
		top := pages(t, filepath.Join(base, "top"), 9)
		require.ErrorIs(t, tempdir.Remove(ctx, top, tempdir.Rate(1, 0), tempdir.CountBytes(), tempdir.OnProgress(func(p tempdir.Progress) {
			cancel() // after the first name, of which it is told at once
		})), context.Canceled)
		require.LessOrEqual(t, time.Since(begin), 2*time.Second)
		require.Len(t, pathsBelow(t, top), 10-1)
		require.NoError(t, tempdir.Remove(background, top))
	})
}

// Every worker's input and output is idle, and nobody else's afterwards.
func TestIdleIO(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	class := func() uintptr {
		const whoProcess, shift = 1, 13
		priority, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, whoProcess, 0, 0)
		require.Zero(t, errno)
		return priority >> shift
	}
	before := class()
	for _, option := range []tempdir.Option{tempdir.Workers(1), tempdir.Eager(3)} {
		top := filepath.Join(testfs.InMemory(t), "top")
		for n := range 5 {
			pages(t, filepath.Join(directory(t, top), fmt.Sprint(n)), 20)
		}
		var calls, idle atomic.Int32
		hook := kernel.HookFunc(func(c *kernel.Call) error {
			if c.Method == kernel.RemoveEntry {
				calls.Add(1)
				if class() == 3 {
					idle.Add(1)
				}
			}
			return nil
		})
		require.NoError(t, tempdir.Remove(background, top, option, tempdir.IdleIO(), kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), hook))))
		require.EqualValues(t, 100, calls.Load())
		require.Equal(t, calls.Load(), idle.Load())
		require.Equal(t, before, class())
	}
}
