//go:build linux

package tempdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Somebody's file has the name of the next entry: it is not replaced, and the
// victim gets another name.
func TestEntryNameIsTaken(t *testing.T) {
	s := newScene(t)
	foreign := filepath.Join(s.data(s.live.ID()), "1-victim")
	require.NoError(t, os.WriteFile(foreign, []byte("foreign"), 0o600))
	require.NoError(t, s.live.StageDeletion(s.victim))
	content, err := os.ReadFile(foreign)
	require.NoError(t, err)
	require.Equal(t, "foreign", string(content))
	requireLayer(t, filepath.Join(s.data(s.live.ID()), "2-victim"))
	_, err = s.neighboursUnharmed(t)
	require.NoError(t, err)
	s.end(t)
}

func TestEveryEntryNameIsTaken(t *testing.T) {
	s := newScene(t)
	const tries = 200 // more than it tries
	for n := range tries {
		require.NoError(t, os.Mkdir(filepath.Join(s.data(s.live.ID()), fmt.Sprintf("%d-victim", n)), 0o700))
	}
	err := s.live.StageDeletion(s.victim)
	requireRefusal(t, err, "stage deletion", s.data(s.live.ID()), tempdir.ErrForeign, unix.EEXIST)
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

func TestDestinationOfCommitThatCannotBe(t *testing.T) {
	s := newScene(t)
	addition, err := s.live.StageAddition()
	require.NoError(t, err)
	requireRefusal(t, addition.Commit(beside(s.root, "new")), "commit", addition.Path(), tempdir.ErrNothingStaged)
	empty := beside(s.root, "empty")
	require.NoError(t, os.Mkdir(empty, 0o700))
	makeLayer(t, addition.Path())
	for _, c := range []struct {
		destination string
		reasons     []error
	}{
		{"", []error{unix.EINVAL}},
		{"/", []error{unix.EINVAL}},
		{".", []error{unix.EINVAL}},
		{s.outside + "/..", []error{unix.EINVAL}},
		{filepath.Join(addition.Path(), "inside"), []error{unix.EINVAL}},
		{s.outside, []error{unix.EEXIST}}, // never replaced, not even what rename(2) would
		{empty, []error{unix.EEXIST}},
		{filepath.Join(s.outside, "readme"), []error{unix.EEXIST}},
		{filepath.Join(s.outside, "link"), []error{unix.EEXIST}},
		{filepath.Join(s.outside, "missing", "x"), []error{unix.ENOENT}},
		{filepath.Join(s.outside, "readme", "x"), []error{unix.ENOTDIR}},
		{s.lock(badID), []error{tempdir.ErrForeign}},
		{s.data(badID), []error{tempdir.ErrForeign}},
		{s.data(staleID), []error{tempdir.ErrForeign}},
	} {
		before := testfs.Snapshot(t, filepath.Dir(s.root.Path()))
		err := addition.Commit(c.destination)
		requireRefusal(t, err, "commit", c.destination, c.reasons...)
		require.NotErrorIs(t, err, tempdir.ErrNothingStaged)
		require.Equal(t, before, testfs.Snapshot(t, filepath.Dir(s.root.Path())))
	}
	require.ErrorContains(t, addition.Commit(filepath.Join(addition.Path(), "usr", "inside")), "cannot be moved into itself")
	require.NoError(t, addition.Commit(beside(s.root, "new")))
	requireRefusal(t, addition.Commit(beside(s.root, "again")), "commit", beside(s.root, "again"), tempdir.ErrCommitted)
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

// An id is drawn from 128 random bits; if its name exists all the same, it is
// somebody else's.
func TestDataNameIsTaken(t *testing.T) {
	k := newTap()
	s := newScene(t, kernel.With[tempdir.Option](k))
	var taken string
	k.set(func(method, name string) error {
		if method == "MakeData" {
			taken = makeLayer(t, filepath.Join(s.root.Path(), name))
		}
		return nil
	})
	_, err := s.root.Create()
	k.set(nil)
	requireRefusal(t, err, "create", taken, unix.EEXIST)
	requireLayer(t, taken)
	_, err = s.unharmed(t)
	require.NoError(t, err)
}
