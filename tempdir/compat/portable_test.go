package compat_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
)

// portably makes the test use the code for systems other than Linux, here and
// in child processes.
func portably(t *testing.T) {
	t.Setenv(portableVariable, "1")
	t.Cleanup(compat.ForcePortable())
	var looks atomic.Int32
	t.Cleanup(compat.SwapClearFlags(func(dir *os.Root, name string, info fs.FileInfo) bool {
		if looks.Add(1) > 10_000 {
			panic("a removal goes on for ever at " + name)
		}
		return compat.SystemClearFlags(dir, name, info)
	}))
}

// withoutLocks makes the portable code meet a system that has no lock.
func withoutLocks(t *testing.T) {
	t.Cleanup(compat.SwapLock(func(*os.File) error { return errors.ErrUnsupported }))
}

// layer makes a directory as a store stages it, with a link that leads out, and
// directories that the owner may not write.
func layer(t *testing.T, path, outside string) {
	require.NoError(t, os.MkdirAll(filepath.Join(path, "a", "b"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(path, "a", "b", "file"), []byte("content"), 0o400))
	if err := os.Symlink(outside, filepath.Join(path, "a", "link")); err != nil && runtime.GOOS != "windows" {
		t.Fatal(err)
	}
	require.NoError(t, os.Chmod(filepath.Join(path, "a", "b"), 0o500))
	require.NoError(t, os.Chmod(filepath.Join(path, "a"), 0))
}

// age makes a name look older than every grace.
func age(t *testing.T, path string) {
	long := time.Now().Add(-48 * time.Hour)
	require.NoError(t, os.Chtimes(path, long, long))
}

func TestPortableDeletionAndAddition(t *testing.T) {
	portably(t)
	deletionAndAddition(t)
}

func deletionAndAddition(t *testing.T) {
	base := t.TempDir()
	root, outside := filepath.Join(base, "store", "tempdirs"), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(outside, "precious"), nil, 0o600))
	td, err := compat.NewTempDir(root)
	require.NoError(t, err)
	victim := filepath.Join(base, "layer")
	require.NoError(t, os.Mkdir(victim, 0o700))
	layer(t, filepath.Join(victim, "diff"), outside)
	require.NoError(t, td.StageDeletion(victim))
	require.NoDirExists(t, victim)
	require.ErrorIs(t, td.StageDeletion(victim), fs.ErrNotExist)

	addition, err := td.StageAddition()
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(addition.Path, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(addition.Path, "file"), []byte("whole"), 0o600))
	require.NoError(t, compat.RecoverStaleDirs(root), "live: skipped")
	require.NoError(t, addition.Commit(filepath.Join(base, "new")))
	require.FileExists(t, filepath.Join(base, "new", "file"))

	require.NoError(t, td.Cleanup())
	require.Empty(t, names(t, root))
	require.Equal(t, []string{"precious"}, names(t, outside))
	require.ErrorIs(t, td.StageDeletion(base), tempdir.ErrClosed)

	td, err = compat.NewTempDir(root)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(root))
	require.ErrorIs(t, td.Cleanup(), tempdir.ErrInstanceGone)
}

func TestPortableCommitNeverReplaces(t *testing.T) {
	portably(t)
	td, err := compat.NewTempDir(t.TempDir())
	require.NoError(t, err)
	defer td.Cleanup()
	makers := map[string]func(path string) error{
		"file":            func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"empty directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"dangling link":   func(path string) error { return os.Symlink("nowhere", path) },
	}
	for staged, makeStaged := range makers {
		for taken, makeTaken := range makers {
			addition, err := td.StageAddition()
			require.NoError(t, err)
			require.NoError(t, makeStaged(addition.Path))
			destination := filepath.Join(t.TempDir(), "destination")
			require.NoError(t, makeTaken(destination))
			before, err := os.Lstat(destination)
			require.NoError(t, err)
			require.ErrorIs(t, addition.Commit(destination), fs.ErrExist, "%s onto %s", staged, taken)
			after, err := os.Lstat(destination)
			require.NoError(t, err)
			require.True(t, os.SameFile(before, after))
			require.NoError(t, os.Remove(destination))
			require.NoError(t, addition.Commit(destination))
			require.ErrorIs(t, addition.Commit(destination), tempdir.ErrCommitted)
		}
	}
}

// TestPortableRecheck follows one schedule: the lock file is unlinked and made
// again between open and lock, so that the lock taken is a ghost lock.
func TestPortableRecheck(t *testing.T) {
	portably(t)
	dir := t.TempDir()
	for _, existing := range []bool{true, false} {
		path := filepath.Join(dir, fmt.Sprint(existing))
		if existing {
			require.NoError(t, os.WriteFile(path, []byte("first"), 0o600))
		}
		replace := sync.OnceFunc(func() {
			check(os.Remove(path))
			check(os.WriteFile(path, []byte("second"), 0o600))
		})
		restore := compat.SwapLock(func(file *os.File) error {
			replace()
			return compat.SystemLock(file)
		})
		lock, err := compat.TryLockPath(path)
		restore()
		require.NoError(t, err)
		_, err = compat.TryLockPath(path)
		require.ErrorIs(t, err, tempdir.ErrHeld, "the second file is held")
		require.NoError(t, lock.UnlockAndDelete())
		require.NoFileExists(t, path)
	}
}

// TestPortableNeverTakesWhatExists: a lock file or a data directory that is
// there already is somebody else's.
func TestPortableNeverTakesWhatExists(t *testing.T) {
	portably(t)
	root := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(root, "lock"), nil, 0o600))
	require.ErrorIs(t, compat.PortableCreateLock(root, "lock"), fs.ErrExist)

	var data string
	t.Cleanup(compat.SwapLock(func(file *os.File) error { // the data directory appears
		data = filepath.Join(root, strings.Replace(filepath.Base(file.Name()), "lock-", "temp-dir-", 1))
		check(os.Mkdir(data, 0o700))
		return compat.SystemLock(file)
	}))
	_, err := compat.NewTempDir(root)
	require.ErrorIs(t, err, fs.ErrExist)
	require.Equal(t, []string{"lock", filepath.Base(data)}, names(t, root))
}

func TestPortableGraces(t *testing.T) {
	portably(t)
	root := t.TempDir()
	young := filepath.Join(root, "lock-1")
	require.NoError(t, os.WriteFile(young, nil, 0o600))
	orphan := filepath.Join(root, "temp-dir-2")
	require.NoError(t, os.Mkdir(orphan, 0o700))
	report, err := compat.RecoverStaleDirsReport(root)
	require.NoError(t, err)
	require.Equal(t, 2, report.Count(tempdir.Young))
	age(t, young)
	age(t, orphan)
	report, err = compat.RecoverStaleDirsReport(root)
	require.NoError(t, err)
	require.Equal(t, 2, report.Count(tempdir.Recovered))
	require.Empty(t, names(t, root))
}

// TestPortableWithoutLocks: nothing tells live from stale, so nothing is
// recovered, and everything else works.
func TestPortableWithoutLocks(t *testing.T) {
	portably(t)
	withoutLocks(t)
	root := t.TempDir()
	live, err := compat.NewTempDir(root)
	require.NoError(t, err)
	addition, err := live.StageAddition()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(addition.Path, []byte("whole"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(root, "temp-dir-3"), 0o700))
	for _, name := range names(t, root) {
		age(t, filepath.Join(root, name))
	}
	before := names(t, root)

	require.NoError(t, compat.RecoverStaleDirs(root), "the store loads")
	require.Equal(t, before, names(t, root))
	report, err := compat.RecoverStaleDirsReport(root)
	require.ErrorIs(t, err, errors.ErrUnsupported, "and it is said")
	require.Equal(t, 2, report.Count(tempdir.Failed))
	require.Equal(t, before, names(t, root))

	destination := filepath.Join(t.TempDir(), "destination")
	require.NoError(t, addition.Commit(destination))
	require.FileExists(t, destination)
	require.NoError(t, live.Cleanup())
	require.Equal(t, []string{"temp-dir-3"}, names(t, root))

	path := filepath.Join(root, "staging.lock")
	lock, err := compat.TryLockPath(path)
	require.NoError(t, err, "a file that was made here is nobody else's")
	_, err = compat.TryLockPath(path)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.NotErrorIs(t, err, tempdir.ErrHeld)
	require.FileExists(t, path)
	require.NoError(t, lock.UnlockAndDelete())
}

// TestPortableLeftoverFailsNobody: a store loads although recovery failed.
func TestPortableLeftoverFailsNobody(t *testing.T) {
	portably(t)
	root := t.TempDir()
	for _, id := range []string{"4", "5"} {
		require.NoError(t, os.WriteFile(filepath.Join(root, "lock-"+id), nil, 0o600))
		require.NoError(t, os.Mkdir(filepath.Join(root, "temp-dir-"+id), 0o700))
	}
	stuck, err := os.Stat(filepath.Join(root, "lock-4"))
	require.NoError(t, err)
	restore := compat.SwapLock(func(file *os.File) error {
		if info, err := file.Stat(); err == nil && os.SameFile(info, stuck) {
			return errors.New("no lock is available")
		}
		return compat.SystemLock(file)
	})
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Equal(t, []string{"lock-4", "temp-dir-4"}, names(t, root), "both names, and the other went")
	_, err = compat.RecoverStaleDirsReport(root)
	require.ErrorContains(t, err, "no lock is available")
	restore()
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Empty(t, names(t, root))
	restore = compat.SwapLock(func(*os.File) error { return errors.New("no lock is available") })
	_, err = compat.NewTempDir(root)
	require.ErrorContains(t, err, "no lock is available")
	restore()
	require.NoError(t, os.Symlink("loop", filepath.Join(root, "loop")))
	_, err = compat.RecoverStaleDirsReport(filepath.Join(root, "loop"))
	require.Error(t, err, "a root that cannot be told is no empty one")
}

// TestDroppedIsLive: what nobody refers to any more is not stale while its
// process lives.
func TestDroppedIsLive(t *testing.T) {
	test := func(t *testing.T) {
		root := t.TempDir()
		func() {
			_, err := compat.NewTempDir(root)
			require.NoError(t, err)
			_, err = compat.TryLockPath(filepath.Join(root, "staging.lock"))
			require.NoError(t, err)
		}()
		runtime.GC() // finalizers are queued
		runtime.GC()
		collected := make(chan struct{})
		runtime.AddCleanup(new([16]byte), func(done chan struct{}) { close(done) }, collected)
		runtime.GC()
		<-collected // and so those queued before it have run
		require.NoError(t, compat.RecoverStaleDirs(root))
		require.Len(t, names(t, root), 3)
		_, err := compat.TryLockPath(filepath.Join(root, "staging.lock"))
		require.ErrorIs(t, err, tempdir.ErrHeld)
	}
	t.Run("native", test)
	t.Run("portable", func(t *testing.T) {
		portably(t)
		test(t)
	})
}
