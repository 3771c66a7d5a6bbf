//go:build linux

package tempdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// leaveDescriptors uses up descriptors until only n are left, and returns what
// frees them. The limit of this process is lowered first.
func leaveDescriptors(t testing.TB, n int) (free func()) {
	t.Helper()
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}))
	var taken []int
	for {
		fd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			require.ErrorIs(t, err, unix.EMFILE)
			break
		}
		taken = append(taken, fd)
	}
	for _, fd := range taken[len(taken)-n:] {
		unix.Close(fd)
	}
	return func() {
		for _, fd := range taken[:len(taken)-n] {
			unix.Close(fd)
		}
	}
}

func TestNoDescriptorsLeft(t *testing.T) {
	if !testfs.Alone(t, nil) {
		return
	}
	s := newScene(t)
	dir, err := s.root.Create()
	require.NoError(t, err)
	before := rootNames(t, s.root)
	free := leaveDescriptors(t, 0)

	_, openErr := tempdir.Open(s.root.Path())
	_, createErr := s.root.Create()
	stageErr := dir.StageDeletion(s.victim)
	_, recoverErr := s.root.Recover(background)
	_, listErr := s.root.Instances(background)
	closeErr := dir.Close(background)
	free()

	requireRefusal(t, openErr, "open root", s.root.Path(), unix.EMFILE)
	requireRefusal(t, createErr, "create", s.root.Path(), unix.EMFILE)
	require.NoError(t, stageErr, "under the store lock, a deletion needs no descriptor")
	requireRefusal(t, recoverErr, "recover", s.root.Path(), unix.EMFILE)
	requireRefusal(t, listErr, "instances", s.root.Path(), unix.EMFILE)
	requireRefusal(t, closeErr, "close", s.data(dir.ID()), tempdir.ErrLeftover, unix.EMFILE)
	require.Equal(t, before, rootNames(t, s.root))
	requireLayer(t, filepath.Join(s.data(dir.ID()), "0-victim"))
	require.Equal(t, tempdir.Stale, instanceOf(t, s.root, dir.ID()).State, "both names stay, the lock is free")

	_, err = s.neighboursUnharmed(t)
	require.NoError(t, err)
	s.end(t)
}

// With few descriptors, recovery either works or says which instance it could
// not remove, and the next one goes on.
func TestFewDescriptorsLeft(t *testing.T) {
	if !testfs.Alone(t, nil) {
		return
	}
	const enough = 3 // for a lock file and two levels
	for spare := range enough + 1 {
		t.Run(fmt.Sprint(spare), func(t *testing.T) {
			s := newScene(t)
			deep := s.data(staleID)
			for level := range 20 {
				deep = filepath.Join(deep, fmt.Sprint(level))
			}
			require.NoError(t, os.MkdirAll(deep, 0o700))
			free := leaveDescriptors(t, spare)
			report, err := s.root.Recover(background)
			free()
			if spare == enough {
				require.NoError(t, err)
				require.Equal(t, tempdir.Recovered, outcomeOf(t, report, staleID).Outcome)
				s.end(t)
				return
			}
			requireRefusal(t, err, "recover", s.root.Path(), unix.EMFILE)
			require.Equal(t, tempdir.Stale, instanceOf(t, s.root, staleID).State)
			_, err = s.unharmed(t)
			require.NoError(t, err)
			s.end(t)
		})
	}
}
