package subjects

import (
	"context"
	_ "embed"
	"go/format"
	"os"
	"slices"
	"strings"
)

// The patch of docs/UPSTREAM.md, and what it is without one of its three parts. The
// texts are ours; docs/UPSTREAM.md shows them as they are here.
const (
	lockFiles   = "internal/rawfilelock/"
	stagingLock = "internal/staging_lockfile/staging_lockfile.go"
)

const checkPath = `
// CheckPath returns an error unless path leads to the file that fd has open.
//
// Whoever locks a file by its path has to call it once the lock is held: the path
// may have been removed, or made anew, between the open and the lock.
func CheckPath(fd FileHandle, path string) error {
	return checkPath(fd, path)
}
`

const checkPathUnix = `
func checkPath(fd fileHandle, path string) error {
	var held, named unix.Stat_t
	if err := unix.Fstat(int(fd), &held); err != nil {
		return err
	}
	if err := unix.Stat(path, &named); err != nil {
		return err
	}
	if held.Dev != named.Dev || held.Ino != named.Ino {
		return unix.ESTALE
	}
	return nil
}
`

const checkPathWindows = `
// Who has a file open without FILE_SHARE_DELETE keeps its name where it is.
func checkPath(fileHandle, string) error {
	return nil
}
`

// checkPathTest is for the maintainer.
const checkPathTest = `package rawfilelock

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckPath(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be removed")
	}
	path := filepath.Join(t.TempDir(), "lock")
	fd, err := OpenLock(path, false)
	require.NoError(t, err)
	defer UnlockAndCloseHandle(fd)
	require.NoError(t, CheckPath(fd, path))
	require.NoError(t, os.Remove(path))
	require.Error(t, CheckPath(fd, path), "nothing has the name")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.Error(t, CheckPath(fd, path), "another file has the name")
}
`

// recheck follows the locking in tryAcquireLockForFile.
const recheck = `
	if err := rawfilelock.CheckPath(fd, cleanPath); err != nil {
		// The lock is on a file that has lost its name since it was opened, so it
		// says nothing about what is named now. Nobody else in this process has the
		// path, so this close drops no lock but the one that was just taken.
		rawfilelock.UnlockAndCloseHandle(fd)
		return nil, fmt.Errorf("lock file %q was removed before it was locked: %w", cleanPath, err)
	}
`

const createTemp = `
// createTemp creates a file as os.CreateTemp does, and closes it. Nobody in this
// process can lock it in between: the close would drop that lock.
func createTemp(dir, pattern string) (string, error) {
	stagingLockFileLock.Lock()
	defer stagingLockFileLock.Unlock()
	file, err := os.CreateTemp(dir, pattern)
	if err != nil {
		return "", err
	}
	file.Close()
	return file.Name(), nil
}
`

const callCreateTemp = `path, err := createTemp(dir, pattern)`

var (
	canCheckPath = []edit{
		atEnd(lockFiles+"rawfilelock.go", checkPath),
		atEnd(lockFiles+"rawfilelock_unix.go", checkPathUnix),
		atEnd(lockFiles+"rawfilelock_windows.go", checkPathWindows),
	}
	checksBothSides = []edit{
		replaceCalls(stagingLock, "tryAcquireLockForFile", "rawfilelock.TryLockFile", followedBy(recheck)),
	}
	closesAlone = []edit{
		replaceCalls(stagingLock, "CreateAndLock", "os.CreateTemp", becomes(callCreateTemp)),
		replaceCalls(stagingLock, "CreateAndLock", "file.Close", becomes("")),
		replaceCalls(stagingLock, "CreateAndLock", "file.Name", becomes("")),
		atEnd(stagingLock, createTemp),
	}
)

// outOfLocks is the second step of docs/UPSTREAM.md.
var outOfLocks = []edit{
	// Of a store that may be written, recovery is all that load asks for first.
	replaceCalls("layers.go", "layerStore.load", "r.lockfile.IsReadWrite", withoutRecovery),
	replaceCalls("store.go", "GetStore", "s.load", followedBy("\n"+callRecover)),
	writeFile("store_tempdirs.go", recoverTempDirs),
	replaceCalls("drivers/overlay/overlay.go", "Init", "tempdir.RecoverStaleDirs", func(statement, _ string) string {
		return ifMounted + "\n" + statement + "\n}"
	}),
	writeFile("drivers/overlay/tempdirs_linux.go", mountedBelow),
	formatted("layers.go"), formatted("store.go"), formatted("drivers/overlay/overlay.go"),
}

func withoutRecovery(statement, _ string) string {
	if strings.Contains(statement, "tempdir.RecoverStaleDirs") {
		return ""
	}
	return statement
}

const callRecover = `s.recoverTempDirs()`

const recoverTempDirs = `package storage

import (
	"path/filepath"

	"github.com/sirupsen/logrus"
	"MODULE/internal/tempdir"
)

// recoverTempDirs removes what processes that were killed have left. The caller
// holds no lock that other processes wait for; GetStore's own goroutines wait.
func (s *store) recoverTempDirs() {
	roots := append(s.graphDriver.GetTempDirRootDirs(), filepath.Join(s.graphRoot, s.graphDriverName+"-layers", tempDirPath))
	for _, root := range roots {
		if err := tempdir.RecoverStaleDirs(root); err != nil {
			logrus.Warnf("Removing stale temporary directories: %v", err)
		}
	}
}
`

const ifMounted = `if mountedBelow(filepath.Join(home, tempDirName)) {`

const mountedBelow = `package overlay

import (
	"path/filepath"

	"github.com/moby/sys/mountinfo"
)

// mountedBelow reports whether something is mounted in dir. MakePrivate would hide it.
func mountedBelow(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir) // the table of mounts has no links
	if err != nil {
		return true // recovery knows what is not there, and says what is wrong
	}
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	return err != nil || len(mounts) > 0
}
`

// One side alone. It needs a function more, since both sides share the one that the
// patch changes.
const checkedOneSide = `
// checked gives up a lock if its file has lost its name.
func checked(l *StagingLockFile, err error) (*StagingLockFile, error) {
	if err != nil {
		return nil, err
	}
	stagingLockFileLock.Lock()
	defer stagingLockFileLock.Unlock()
	if err := rawfilelock.CheckPath(l.fd, l.file); err != nil {
		rawfilelock.UnlockAndCloseHandle(l.fd)
		delete(stagingLockFiles, l.file)
		return nil, err
	}
	return l, nil
}
`

// patched is a variant of the patch.
func patched(parts ...[]edit) []edit {
	return append(slices.Concat(append([][]edit{canCheckPath}, parts...)...), formatted(stagingLock))
}

func checksOneSide(function string) []edit {
	return []edit{
		replaceCalls(stagingLock, function, "tryAcquireLockForFile", func(statement, call string) string {
			return strings.Replace(statement, call, "checked("+call+")", 1)
		}),
		atEnd(stagingLock, checkedOneSide),
	}
}

// formatted is gofmt.
func formatted(path string) edit {
	return func(_ context.Context, t *tree) error {
		s, err := t.parse(path)
		if err != nil {
			return err
		}
		text, err := format.Source([]byte(s.text))
		if err != nil {
			return err
		}
		return os.WriteFile(s.path, text, 0o644)
	}
}

// atEnd puts text behind everything else in a file.
func atEnd(path, text string) edit {
	return func(_ context.Context, t *tree) error {
		s, err := t.parse(path)
		if err != nil {
			return err
		}
		return s.replace(s.file.FileEnd, s.file.FileEnd, text)
	}
}

func followedBy(text string) func(statement, call string) string {
	return func(statement, _ string) string { return statement + text }
}

func becomes(text string) func(statement, call string) string {
	return func(string, string) string { return text }
}

//go:embed testdata/patch/together_test.go
var togetherTest string

// hook has a function of staging_lockfile, of the patch or of the release, say where
// it is when it creates a lock file, and recovery when it has a lock. It adds a test
// that plays the counterexample of the model UpstreamClosesCreated.
func hook(creates string) []edit {
	return []edit{
		atEnd(stagingLock, `
var Hook = func(where string) {}

// Free reports whether goroutines of this process can lock files.
func Free() bool {
	if !stagingLockFileLock.TryLock() {
		return false
	}
	stagingLockFileLock.Unlock()
	return true
}
`),
		replaceCalls(stagingLock, creates, "file.Close", func(statement, _ string) string {
			return "Hook(\"created\")\n" + statement + "\nHook(\"closed\")"
		}),
		// Which it removes with one of the two.
		oneOf(replaceCalls("internal/tempdir/tempdir.go", "RecoverStaleDirs", "system.EnsureRemoveAll", claimed),
			replaceCalls("internal/tempdir/tempdir.go", "RecoverStaleDirs", "os.RemoveAll", claimed)),
		writeFile("internal/tempdir/together_test.go", togetherTest),
	}
}

func claimed(statement, _ string) string {
	return "staging_lockfile.Hook(\"claimed\")\n" + statement
}

// oneOf makes the first edit that has a place.
func oneOf(edits ...edit) edit {
	return func(ctx context.Context, t *tree) (err error) {
		for _, e := range edits {
			if err = e(ctx, t); err == nil {
				return nil
			}
		}
		return err
	}
}

// timed adds a benchmark.
var timed = writeFile(internals+"/instance_test.go", `package afterlock

import "testing"

func BenchmarkInstance(b *testing.B) {
	root := b.TempDir()
	for b.Loop() {
		dir, err := NewTempDir(root)
		if err != nil {
			b.Fatal(err)
		}
		if err := dir.Cleanup(); err != nil {
			b.Fatal(err)
		}
	}
}
`)
