//go:build linux

package compat_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// instance lays out the names of an id as a dead process leaves them.
func instance(t *testing.T, root, id string, lock, data bool) {
	if lock {
		require.NoError(t, os.WriteFile(filepath.Join(root, "lock-"+id), nil, 0o600))
	}
	if data {
		require.NoError(t, os.Mkdir(filepath.Join(root, "temp-dir-"+id), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, "temp-dir-"+id, "0-x-"+id), nil, 0o600))
	}
}

// decimal is an id as upstream draws them.
const decimal = "1234567890"

var hexadecimal = strings.Repeat("0f", 16)

func TestRecoverRemovesStaleAndSkipsLive(t *testing.T) {
	root := t.TempDir()
	td, lockFile, data := newTempDir(t, root)
	require.NoError(t, td.StageDeletion(victim(t, "file")))
	instance(t, root, decimal, true, true)
	instance(t, root, hexadecimal, true, true)

	require.NoError(t, compat.RecoverStaleDirs(root))
	require.ElementsMatch(t, []string{filepath.Base(lockFile), filepath.Base(data)}, names(t, root))
	require.Equal(t, []string{"1-file"}, names(t, data))
}

func TestRecoverOfAMissingRootIsNothing(t *testing.T) {
	require.NoError(t, compat.RecoverStaleDirs(filepath.Join(t.TempDir(), "missing")))
	file := victim(t, "file")
	require.ErrorIs(t, compat.RecoverStaleDirs(file), unix.ENOTDIR)
	require.FileExists(t, file)
}

func TestRecoverLeavesForeignNames(t *testing.T) {
	root := t.TempDir()
	foreign := []string{"lock-stale", "temp-dir-stale", "lock-", "temp-dir-007", "unlock-7", "LOCK-7"}
	for _, name := range foreign {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(root, "lock-7"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(root, "temp-dir-8"), nil, 0o600))
	before := names(t, root)

	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Equal(t, before, names(t, root))
	report, err := compat.RecoverStaleDirsReport(root)
	require.ErrorIs(t, err, tempdir.ErrForeign, "an id, and not the type")
	require.Equal(t, 2, report.Count(tempdir.Failed))
	require.ElementsMatch(t, foreign, report.Foreign)
}

func TestOneLeftoverFailsNobody(t *testing.T) {
	root, stuck := t.TempDir(), true
	var log bytes.Buffer
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	standard, warned := compat.Warn, 0
	defer func() { compat.Warn = standard }()
	compat.Warn = func(rootDir, id string, err error) {
		warned++
		standard(rootDir, id, err)
	}
	hook(t, kernel.HookFunc(func(c *kernel.Call) error {
		if stuck && c.Method == kernel.RemoveEntry && c.Name == "0-x-"+decimal {
			return unix.EPERM
		}
		return nil
	}))
	instance(t, root, decimal, true, true)
	instance(t, root, hexadecimal, true, true)

	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Equal(t, []string{"lock-" + decimal, "temp-dir-" + decimal}, names(t, root), "both names, and the others went on")
	require.Contains(t, log.String(), "id="+decimal)
	require.Equal(t, 1, warned)

	report, err := compat.RecoverStaleDirsReport(root)
	require.ErrorIs(t, err, tempdir.ErrLeftover)
	require.Equal(t, 1, report.Count(tempdir.Failed))

	stuck = false
	log.Reset()
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Empty(t, names(t, root))
	require.Empty(t, log.String())
}

func TestWhatAnUpstreamProcessMayBeUsingStays(t *testing.T) {
	for name, c := range map[string]struct {
		lock, data bool
		grace      time.Duration
	}{
		"bare lock file": {lock: true, grace: time.Minute},
		"orphan":         {data: true, grace: 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			root, age := t.TempDir(), time.Duration(0)
			hook(t, aged{&age})
			instance(t, root, decimal, c.lock, c.data)

			age = c.grace - time.Second*10
			require.NoError(t, compat.RecoverStaleDirs(root))
			require.Len(t, names(t, root), 1, "young")
			age = c.grace
			require.NoError(t, compat.RecoverStaleDirs(root))
			require.Empty(t, names(t, root), "old")
		})
	}
}

func TestTwoNamesOfOneRootExclude(t *testing.T) {
	root, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(root, link))
	for _, c := range [][2]string{{root, link}, {link, root}} {
		td, lockFile, data := newTempDir(t, c[0])
		require.NoError(t, compat.RecoverStaleDirs(c[1]))
		require.FileExists(t, lockFile)
		require.DirExists(t, data)
		_, err := compat.TryLockPath(filepath.Join(c[1], filepath.Base(lockFile)))
		require.ErrorIs(t, err, tempdir.ErrHeld)
		require.NoError(t, td.Cleanup())
	}
}

func TestOtherProcessLiveThenKilled(t *testing.T) {
	for role, path := range map[string]string{"instance": "", "posix": "lock-" + decimal} {
		root := t.TempDir()
		kill := child(t, role, filepath.Join(root, path))
		if role == "posix" { // as upstream does
			instance(t, root, decimal, false, true)
		}
		require.NoError(t, compat.RecoverStaleDirs(root))
		live := names(t, root)
		require.Len(t, live, 2, "live: skipped")
		require.Len(t, names(t, filepath.Join(root, live[1])), 1)
		kill()
		require.NoError(t, compat.RecoverStaleDirs(root))
		require.Empty(t, names(t, root), "stale: removed")
	}
}

// TestReadOnlyRoot: an additional image store may be shared and read-only. What
// is in it stays, and the store loads.
func TestReadOnlyRoot(t *testing.T) {
	root := t.TempDir()
	instance(t, root, decimal, true, true)
	testfs.ReadOnly(t, root)
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Len(t, names(t, root), 2)
	_, err := compat.RecoverStaleDirsReport(root)
	require.ErrorIs(t, err, unix.EROFS)
	_, err = compat.NewTempDir(root)
	require.ErrorIs(t, err, unix.EROFS)
	require.NoError(t, compat.RecoverStaleDirs(filepath.Join(root, "missing")))
}

// TestNothingCanBeRecoveredHere: a store loads where the kernel lacks what
// recovery needs, and it is said.
func TestNothingCanBeRecoveredHere(t *testing.T) {
	root := t.TempDir()
	instance(t, root, decimal, true, true)
	hook(t, before(kernel.OpenRoot, func() error { return unix.ENOSYS }))
	standard, warned := compat.Warn, []string{}
	defer func() { compat.Warn = standard }()
	compat.Warn = func(rootDir, id string, err error) { warned = append(warned, rootDir+id) }
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Equal(t, []string{root}, warned)
	require.Len(t, names(t, root), 2)
	_, err := compat.RecoverStaleDirsReport(root)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	_, err = compat.NewTempDir(root)
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

// TestErrorTexts holds the list in the documentation, for callers that compare
// texts.
func TestErrorTexts(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "staging.lock")
	lock, err := compat.TryLockPath(path)
	require.NoError(t, err)
	_, err = compat.TryLockPath(path)
	require.EqualError(t, err, fmt.Sprintf("failed to acquire lock on %q: try lock %s: the lock is held", path, path))
	require.NoError(t, lock.UnlockAndDelete())
	require.EqualError(t, lock.UnlockAndDelete(), "delete lock "+path+": already closed")

	file := victim(t, "file")
	_, err = compat.NewTempDir(filepath.Join(file, "root"))
	require.ErrorContains(t, err, "open root "+filepath.Join(file, "root")+": ")
	require.ErrorContains(t, err, ": not a directory")

	td, err := compat.NewTempDir(root)
	require.NoError(t, err)
	missing := filepath.Join(root, "missing")
	require.EqualError(t, td.StageDeletion(missing), "stage deletion "+missing+": victim already gone: no such file or directory")
	require.NoError(t, td.Cleanup())
	require.EqualError(t, td.StageDeletion(file), "stage deletion "+file+": already closed")
}

// TestInstanceOfAnotherUser: who may not open its lock file cannot remove it by
// other means either, so that is no warning at every load.
func TestInstanceOfAnotherUser(t *testing.T) {
	testfs.NeedUser(t, 65534)
	root := t.TempDir()
	for dir := root; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		require.NoError(t, os.Chmod(dir, 0o755))
	}
	instance(t, root, decimal, true, true)
	run(t, proc.New("recovery of another user", root))
	require.Len(t, names(t, root), 2)
	require.NoError(t, compat.RecoverStaleDirs(root))
	require.Empty(t, names(t, root))
}

func init() {
	role("recovery of another user", func(root string) {
		check(testfs.Lack{User: 65534}.Apply())
		check(compat.RecoverStaleDirs(root))
	})
}
