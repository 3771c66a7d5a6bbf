//go:build linux

package tempdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
)

// aliases give the root a second name.
var aliases = map[string]func(t testing.TB, s *scene) string{
	"the same name": func(_ testing.TB, s *scene) string { return s.root.Path() },
	"symlinked parent": func(t testing.TB, s *scene) string {
		link := beside(s.root, "link")
		require.NoError(t, os.Symlink(filepath.Dir(s.root.Path()), link))
		return filepath.Join(link, "root")
	},
	"by a descriptor": func(t testing.TB, s *scene) string {
		dir, err := os.Open(filepath.Dir(s.root.Path()))
		require.NoError(t, err)
		t.Cleanup(func() { dir.Close() })
		return filepath.Join("/proc", fmt.Sprint(os.Getpid()), "fd", fdOf(dir), "root")
	},
	"bind mount": func(t testing.TB, s *scene) string {
		bound := beside(s.root, "bound")
		require.NoError(t, os.Mkdir(bound, 0o700))
		testfs.Bind(t, s.root.Path(), bound)
		return bound
	},
}

// requireExclusion wants that through alias the live neighbour of s is seen
// and left alone, and the other way round.
func requireExclusion(t *testing.T, s *scene, alias *tempdir.Root, id string) {
	t.Helper()
	for _, root := range []*tempdir.Root{s.root, alias} {
		for _, id := range []string{id, s.live.ID()} {
			require.Equal(t, tempdir.Live, instanceOf(t, root, id).State)
			report, err := root.Recover(background)
			require.NoError(t, err)
			require.Equal(t, tempdir.Skipped, outcomeOf(t, report, id).Outcome)
		}
		s.liveUnharmed(t)
	}
	require.NoDirExists(t, s.data(staleID), "recovered by either name")
}

// Two names of one root in one process exclude each other like two processes
// (F11): locks belong to descriptors, not to paths.
func TestTwoNamesOfOneRootInOneProcess(t *testing.T) {
	if !mounting(t) {
		return
	}
	for name, alias := range aliases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			path := alias(t, s)
			root, err := tempdir.Open(path)
			require.NoError(t, err)
			dir, err := root.Create()
			require.NoError(t, err)
			victim := makeLayer(t, filepath.Join(path, "foreign")) // reachable by the same mount
			require.NoError(t, dir.StageDeletion(victim))
			requireExclusion(t, s, root, dir.ID())
			requireLayer(t, filepath.Join(s.data(dir.ID()), "0-foreign"))
			require.NoError(t, dir.Close(background))
			require.NoError(t, root.Close())
			requireLayer(t, s.victim)
			s.end(t)
		})
	}
}

// The same with two processes; and when one is killed, the other recovers what
// it left, by its own name of the root.
func TestTwoNamesOfOneRootInTwoProcesses(t *testing.T) {
	if !mounting(t) {
		return
	}
	for name, alias := range aliases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			path := alias(t, s)
			victim := makeLayer(t, filepath.Join(path, "foreign"))
			child := proc.Start(t, "owner", path, victim)
			id := child.Says(t)
			root, err := tempdir.Open(path)
			require.NoError(t, err)
			requireExclusion(t, s, root, id)
			requireLayer(t, filepath.Join(s.data(id), "0-foreign"))
			require.NoError(t, root.Close())

			child.Kill()
			report, err := s.root.Recover(background)
			require.NoError(t, err)
			require.Equal(t, tempdir.Recovered, outcomeOf(t, report, id).Outcome)
			requireLayer(t, s.victim)
			s.end(t)
		})
	}
}
