//go:build linux

package compat_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// onEachPath runs the test with lock files that are published locked, with the
// fallback forced, and on a file system that needs it.
func onEachPath(t *testing.T, test func(t *testing.T, dir string)) {
	t.Run("unnamed", func(t *testing.T) { test(t, t.TempDir()) })
	t.Run("fallback", func(t *testing.T) {
		hook(t, before(kernel.OpenUnnamed, func() error { return unix.EOPNOTSUPP }))
		test(t, t.TempDir())
	})
	t.Run("fuse", func(t *testing.T) { test(t, testfs.Fuse(t)) })
}

func TestCreateAndLockNames(t *testing.T) {
	onEachPath(t, func(t *testing.T, dir string) {
		for pattern, want := range map[string]string{
			"lock-":    `^lock-[0-9a-f]{32}$`,
			"a*b*.ext": `^a\*b[0-9a-f]{32}\.ext$`,
			"":         `^[0-9a-f]{32}$`,
		} {
			lock, name, err := compat.CreateAndLock(dir, pattern)
			require.NoError(t, err)
			require.Regexp(t, want, name)
			require.Equal(t, []string{name}, names(t, dir))
			require.NoError(t, lock.UnlockAndDelete())
			require.Empty(t, names(t, dir))
		}
	})
	_, _, err := compat.CreateAndLock(t.TempDir(), "a/b")
	require.ErrorIs(t, err, unix.EINVAL)
	_, _, err = compat.CreateAndLock(filepath.Join(t.TempDir(), "missing"), "lock-")
	require.ErrorIs(t, err, os.ErrNotExist)

	t.Setenv("TMPDIR", t.TempDir())
	lock, name, err := compat.CreateAndLock("", "lock-")
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(os.TempDir(), name))
	require.NoError(t, lock.UnlockAndDelete())
}

func TestTryLockPathMakesTakesAndExcludes(t *testing.T) {
	onEachPath(t, func(t *testing.T, dir string) {
		path := filepath.Join(dir, "staging.lock")
		for _, exists := range []bool{false, true} {
			if exists {
				require.NoError(t, os.WriteFile(path, nil, 0o600))
			}
			lock, err := compat.TryLockPath(path)
			require.NoError(t, err)
			t.Cleanup(func() { lock.UnlockAndDelete() }) // no file system unmounts with it open
			_, err = compat.TryLockPath(path)
			require.ErrorIs(t, err, tempdir.ErrHeld)
			require.ErrorContains(t, err, fmt.Sprintf("failed to acquire lock on %q: ", path), "as upstream says it")
			require.NoError(t, lock.UnlockAndDelete())
			require.NoFileExists(t, path)
		}
	})
}

func TestTryLockPathOfACreatedLock(t *testing.T) {
	dir := t.TempDir()
	lock, name, err := compat.CreateAndLock(dir, "lock-")
	require.NoError(t, err)
	path := filepath.Join(dir, name)
	_, err = compat.TryLockPath(path)
	require.ErrorIs(t, err, tempdir.ErrHeld)
	require.NoError(t, lock.UnlockAndDelete())
	again, err := compat.TryLockPath(path)
	require.NoError(t, err)
	require.NoError(t, again.UnlockAndDelete())
}

func TestOtherProcessHoldsTheLockThenIsKilled(t *testing.T) {
	for _, name := range []string{"lock", "posix"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "lock")
			kill := child(t, name, path)
			_, err := compat.TryLockPath(path)
			require.ErrorIs(t, err, tempdir.ErrHeld)
			kill()
			lock, err := compat.TryLockPath(path)
			require.NoError(t, err)
			require.NoError(t, lock.UnlockAndDelete())
		})
	}
}

func TestManyLockersOneHolder(t *testing.T) {
	onEachPath(t, func(t *testing.T, dir string) {
		if strings.HasSuffix(t.Name(), "/fuse") {
			t.Skip("skipped, because this FUSE server finds open files by path: with a name that is used again it answers for another file")
		}
		path, leaked := filepath.Join(dir, "lock"), sinceNow(t)
		var holders, taken int
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 50 {
					lock, err := compat.TryLockPath(path)
					if err != nil {
						continue
					}
					mu.Lock()
					holders++
					taken++
					alone := holders == 1
					mu.Unlock()
					assert.True(t, alone, "two holders of one lock file")
					mu.Lock()
					holders--
					mu.Unlock()
					assert.NoError(t, lock.UnlockAndDelete())
				}
			})
		}
		wg.Wait()
		require.Positive(t, taken)
		require.NoFileExists(t, path)
		require.Empty(t, leaked())
	})
}

func TestTryLockPathRefusesWhatIsNoLockFile(t *testing.T) {
	dir, leaked := t.TempDir(), sinceNow(t)
	precious := victim(t, "precious")
	makers := map[string]func(path string) error{
		"directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"symbolic link": func(path string) error { return os.Symlink(precious, path) },
		"dangling link": func(path string) error { return os.Symlink("missing", path) },
		"hard link":     func(path string) error { return os.Link(precious, path) },
		"fifo":          func(path string) error { return unix.Mkfifo(path, 0o600) },
	}
	for name, make := range makers {
		path := filepath.Join(dir, name)
		require.NoError(t, make(path))
		_, err := compat.TryLockPath(path)
		require.ErrorIs(t, err, tempdir.ErrForeign, name)
	}
	require.Len(t, names(t, dir), len(makers))
	require.FileExists(t, precious)
	require.Empty(t, leaked())
}

func TestUnlockLeavesAStrangersFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	stolen, err := compat.TryLockPath(path)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	owner, err := compat.TryLockPath(path)
	require.NoError(t, err)
	require.ErrorIs(t, stolen.UnlockAndDelete(), tempdir.ErrInstanceGone)
	require.FileExists(t, path)
	require.NoError(t, owner.UnlockAndDelete())
}

// TestUnlockAfterRemovingTheDirectory is what upstream's pruner of staging
// directories does.
func TestUnlockAfterRemovingTheDirectory(t *testing.T) {
	leaked := sinceNow(t)
	dir := filepath.Join(t.TempDir(), "staging")
	require.NoError(t, os.Mkdir(dir, 0o700))
	lock, err := compat.TryLockPath(filepath.Join(dir, "staging.lock"))
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(dir))
	require.NoError(t, lock.UnlockAndDelete())
	require.Empty(t, leaked())
	_, err = compat.TryLockPath(filepath.Join(dir, "staging.lock"))
	require.ErrorIs(t, err, os.ErrNotExist, "the directory is not made")
}

func TestUnlockTwiceIsAnErrorAndNoPanic(t *testing.T) {
	lock, _, err := compat.CreateAndLock(t.TempDir(), "lock-")
	require.NoError(t, err)
	results := make(chan error)
	for range 2 {
		go func() { results <- lock.UnlockAndDelete() }()
	}
	one, two := <-results, <-results
	if one != nil {
		one, two = two, one
	}
	require.NoError(t, one)
	require.ErrorIs(t, two, tempdir.ErrClosed)
	for _, lock := range []*compat.StagingLockFile{nil, {}} {
		require.ErrorIs(t, lock.UnlockAndDelete(), tempdir.ErrClosed)
	}
}

func TestFailureToLockLeavesNothing(t *testing.T) {
	dir, leaked, attempts := t.TempDir(), sinceNow(t), 0
	hook(t, before(kernel.TakeLock, func() error { attempts++; return unix.ENOLCK }))
	_, _, err := compat.CreateAndLock(dir, "lock-")
	require.ErrorIs(t, err, unix.ENOLCK)
	require.NotErrorIs(t, err, tempdir.ErrHeld)
	_, err = compat.TryLockPath(filepath.Join(dir, "lock"))
	require.ErrorIs(t, err, unix.ENOLCK)
	_, err = compat.NewTempDir(dir)
	require.ErrorIs(t, err, unix.ENOLCK)
	require.Equal(t, 3, attempts)
	require.Empty(t, names(t, dir))
	require.Empty(t, leaked())
}
