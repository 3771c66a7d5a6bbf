//go:build linux

package compat_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
)

func TestNewTempDirMakesTheRootAndBothNames(t *testing.T) {
	root := filepath.Join(t.TempDir(), "overlay", "tempdirs")
	td, lockFile, data := newTempDir(t, root)
	require.Equal(t, root, td.RootDir)
	require.FileExists(t, lockFile)
	require.DirExists(t, data)
	info, err := os.Stat(root)
	require.NoError(t, err)
	require.Equal(t, fs.ModeDir|0o700, info.Mode())
	require.Regexp(t, `^lock-[0-9a-f]{32}$`, filepath.Base(lockFile), "128 bits, hexadecimal")
}

func TestStageDeletionNumbersEntries(t *testing.T) {
	td, err := compat.NewTempDir(t.TempDir())
	require.NoError(t, err)
	defer td.Cleanup()
	for _, name := range []string{"simple.txt", "with spaces", "-dashes", "\x1b[2J", strings.Repeat("n", 255)} {
		path := victim(t, name)
		require.NoError(t, td.StageDeletion(path))
		require.NoFileExists(t, path)
	}
	addition, err := td.StageAddition()
	require.NoError(t, err)
	require.Equal(t, "5-addition", filepath.Base(addition.Path))
	require.Equal(t, []string{
		"0-simple.txt", "1-with spaces", "2--dashes", "3-__2J", "4-" + strings.Repeat("n", 48),
	}, names(t, filepath.Dir(addition.Path)))
}

func TestCleanupRemovesEverythingAndIsIdempotent(t *testing.T) {
	root := t.TempDir()
	td, err := compat.NewTempDir(root)
	require.NoError(t, err)
	require.NoError(t, td.StageDeletion(victim(t, "file")))
	require.NoError(t, td.Cleanup())
	require.Empty(t, names(t, root))
	require.NoError(t, td.Cleanup())

	kept := victim(t, "kept")
	require.ErrorIs(t, td.StageDeletion(kept), tempdir.ErrClosed)
	require.FileExists(t, kept)
	_, err = td.StageAddition()
	require.ErrorIs(t, err, tempdir.ErrClosed)
}

func TestStageAdditionAndCommit(t *testing.T) {
	root := t.TempDir()
	td, err := compat.NewTempDir(root)
	require.NoError(t, err)
	makers := map[string]func(path string) error{
		"file":      func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	}
	for name, make := range makers {
		t.Run(name, func(t *testing.T) {
			addition, err := td.StageAddition()
			require.NoError(t, err)
			path := addition.Path
			require.True(t, filepath.IsAbs(path))
			_, err = os.Lstat(path)
			require.ErrorIs(t, err, fs.ErrNotExist, "reserved, not made")

			destination := filepath.Join(t.TempDir(), "destination")
			require.ErrorIs(t, addition.Commit(destination), tempdir.ErrNothingStaged)
			require.NoError(t, make(path))
			require.NoError(t, addition.Commit(destination))
			require.Empty(t, addition.Path)
			require.Equal(t, []string{"destination"}, names(t, filepath.Dir(destination)))
			_, err = os.Lstat(path)
			require.ErrorIs(t, err, fs.ErrNotExist)
			require.ErrorIs(t, addition.Commit(destination), tempdir.ErrCommitted)
		})
	}
	addition, err := td.StageAddition()
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(addition.Path, 0o700))
	require.NoError(t, td.Cleanup())
	require.Empty(t, names(t, root), "what was not committed goes")
	require.ErrorIs(t, addition.Commit(filepath.Join(root, "late")), tempdir.ErrClosed)
}

func TestCleanupTemporaryDirectories(t *testing.T) {
	bad, worse := errors.New("bad"), errors.New("worse")
	order := ""
	err := compat.CleanupTemporaryDirectories(
		func() error { order += "a"; return bad },
		nil,
		func() error { order += "b"; return nil },
		func() error { order += "c"; return worse },
	)
	require.ErrorIs(t, err, bad)
	require.ErrorIs(t, err, worse)
	require.Equal(t, "abc", order)
	require.NoError(t, compat.CleanupTemporaryDirectories())
	require.NoError(t, compat.CleanupTemporaryDirectories(nil))
}

func TestNilAndZeroValues(t *testing.T) {
	for _, td := range []*compat.TempDir{nil, {}} {
		require.NoError(t, td.Cleanup())
		require.ErrorIs(t, td.StageDeletion("x"), tempdir.ErrClosed)
		_, err := td.StageAddition()
		require.ErrorIs(t, err, tempdir.ErrClosed)
	}
	for _, addition := range []*compat.StagedAddition{nil, {}} {
		require.ErrorIs(t, addition.Commit("x"), fs.ErrNotExist)
	}
}

func TestVictimGoneIsNotInstanceGone(t *testing.T) {
	td, _, data := newTempDir(t, t.TempDir())
	err := td.StageDeletion(filepath.Join(t.TempDir(), "missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)

	path := victim(t, "file")
	require.NoError(t, os.Remove(data))
	err = td.StageDeletion(path)
	require.ErrorIs(t, err, tempdir.ErrInstanceGone)
	require.NotErrorIs(t, err, fs.ErrNotExist)
	require.FileExists(t, path)
	require.ErrorIs(t, td.Cleanup(), tempdir.ErrInstanceGone)
	require.NoError(t, td.Cleanup(), "reported once")
}

// A call that is refused keeps nobody waiting.
func TestRefusalsHoldNoMutex(t *testing.T) {
	onBoth(t, func(t *testing.T) {
		root := t.TempDir()
		td, err := compat.NewTempDir(root) // not cleaned up at the end: that would wait, too
		require.NoError(t, err)
		addition, err := td.StageAddition()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(addition.Path, nil, 0o600))
		data, missing := filepath.Dir(addition.Path), filepath.Join(t.TempDir(), "missing", "x")
		for _, refused := range []func() error{
			func() error { return td.StageDeletion(data) },
			func() error { return td.StageDeletion(missing) },
			func() error { return addition.Commit(data) },
			func() error { return addition.Commit(missing) },
			func() error { // its data is no directory
				check(os.RemoveAll(data))
				check(os.WriteFile(data, nil, 0o600))
				return addition.Commit(filepath.Join(root, "destination"))
			},
			func() error { td.Cleanup(); return td.StageDeletion(root) },
			func() error { _, err := td.StageAddition(); return err },
			func() error { return addition.Commit(filepath.Join(root, "destination")) },
		} {
			require.Error(t, refused())
			require.True(t, td.Unlocked(), "a mutex is held")
		}
	})
}

func TestNoDescriptorIsLeaked(t *testing.T) {
	root, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(root, link))
	leaked, live := sinceNow(t), 2 // root and lock file
	if os.Getenv(portableVariable) != "" {
		live = 1
	}
	for range 10 {
		td, err := compat.NewTempDir(link)
		require.NoError(t, err)
		require.Len(t, leaked(), live)
		require.NoError(t, compat.RecoverStaleDirs(link))
		require.NoError(t, td.StageDeletion(victim(t, "file")))
		require.NoError(t, td.Cleanup())
		require.Empty(t, leaked())
	}
	_, err := compat.NewTempDir(victim(t, "file"))
	require.Error(t, err)
	require.Empty(t, leaked())
}

func TestPathsSurviveAChangeOfDirectory(t *testing.T) {
	root := t.TempDir()
	t.Chdir(filepath.Dir(root))
	td, err := compat.NewTempDir(filepath.Base(root))
	require.NoError(t, err)
	require.Equal(t, filepath.Base(root), td.RootDir)
	t.Chdir(t.TempDir())
	require.NoError(t, td.StageDeletion(victim(t, "file")))
	require.NoError(t, td.Cleanup())
	require.Empty(t, names(t, root))
}
