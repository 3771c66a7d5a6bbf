//go:build linux

package tempdir_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Graces for which everything in a test is old, and young.
const (
	tiny = time.Nanosecond
	long = time.Hour
)

func init() {
	// upstream ROOT ID: holds an instance as containers/storage does, with a
	// POSIX lock on a lock file that was visible before.
	proc.Register("upstream", func(arguments []string) {
		root, id := arguments[0], arguments[1]
		lock := must(os.OpenFile(filepath.Join(root, "lock-"+id), os.O_RDWR|os.O_CREATE, 0o600))
		must(0, unix.FcntlFlock(lock.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK}))
		must(0, os.MkdirAll(filepath.Join(root, "temp-dir-"+id, "0-layer"), 0o700))
		proc.Parent.Say("locked")
		proc.Parent.Await()
	})
}

// A young lock file may be one that upstream has published and not yet locked,
// and young data without one may have an owner with a ghost lock (rule 13).
func TestMixedFleetLeavesTheYoungAlone(t *testing.T) {
	const bare, orphan, whole = "1", "2", "3"
	for _, c := range []struct {
		name                 string
		lockGrace, dataGrace time.Duration
		bare, orphan         tempdir.Outcome
	}{
		{"all young", long, long, tempdir.Young, tempdir.Young},
		{"bare lock files young", long, tiny, tempdir.Young, tempdir.Recovered},
		{"orphans young", tiny, long, tempdir.Recovered, tempdir.Young},
		{"all old", tiny, tiny, tempdir.Recovered, tempdir.Recovered},
		{"no grace", 0, 0, tempdir.Recovered, tempdir.Recovered},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, tempdir.MixedFleet(c.lockGrace, c.dataGrace))
			require.NoError(t, os.WriteFile(s.lock(bare), nil, 0o600))
			s.leaveOrphan(t, orphan)
			s.leave(t, whole)
			report, err := s.unharmed(t)
			require.NoError(t, err)
			require.Equal(t, tempdir.Result{ID: bare, Outcome: c.bare}, outcomeOf(t, report, bare))
			require.Equal(t, c.orphan, outcomeOf(t, report, orphan).Outcome)
			require.Equal(t, tempdir.Recovered, outcomeOf(t, report, whole).Outcome, "with both names nobody is in the window")
			var left []string
			if c.bare == tempdir.Young {
				left = append(left, "lock-"+bare)
			}
			if c.orphan == tempdir.Young {
				left = append(left, "temp-dir-"+orphan)
				requireLayer(t, filepath.Join(s.data(orphan), "0-layer"))
			}
			s.end(t, left...)
		})
	}
}

// A clock that was set back must not make everything old.
func TestTimesInTheFutureAreYoung(t *testing.T) {
	s := newScene(t, tempdir.MixedFleet(tiny, tiny))
	const bare, orphan = "1", "2"
	require.NoError(t, os.WriteFile(s.lock(bare), nil, 0o600))
	s.leaveOrphan(t, orphan)
	ahead := time.Now().Add(24 * time.Hour)
	for _, path := range []string{s.lock(bare), s.data(orphan)} {
		require.NoError(t, os.Chtimes(path, ahead, ahead))
	}
	report, err := s.unharmed(t)
	require.NoError(t, err)
	require.Equal(t, tempdir.Young, outcomeOf(t, report, bare).Outcome)
	require.Equal(t, tempdir.Young, outcomeOf(t, report, orphan).Outcome)
	requireLayer(t, filepath.Join(s.data(orphan), "0-layer"))
	s.end(t, "lock-"+bare, "temp-dir-"+orphan)
}

// An old modification time does not make a file old: anybody can set it.
func TestTimesInThePastAreNotBelieved(t *testing.T) {
	s := newScene(t, tempdir.MixedFleet(long, long))
	const bare = "1"
	require.NoError(t, os.WriteFile(s.lock(bare), nil, 0o600))
	past := time.Now().Add(-48 * time.Hour)
	require.NoError(t, os.Chtimes(s.lock(bare), past, past))
	report, err := s.unharmed(t)
	require.NoError(t, err)
	require.Equal(t, tempdir.Young, outcomeOf(t, report, bare).Outcome)
	s.end(t, "lock-"+bare)
}

// Upstream's locks are POSIX locks. They conflict with ours.
func TestUpstreamOwnerIsLive(t *testing.T) {
	const id = "4294967295"
	s := newScene(t, tempdir.MixedFleet(tiny, tiny))
	child := proc.Start(t, "upstream", s.root.Path(), id)
	child.Says(t)
	seen := instanceOf(t, s.root, id)
	require.Equal(t, tempdir.Live, seen.State)
	require.Equal(t, child.Process.Pid, seen.Holder)
	report, err := s.unharmed(t)
	require.NoError(t, err)
	require.Equal(t, tempdir.Skipped, outcomeOf(t, report, id).Outcome)

	child.Kill()
	report, err = s.root.Recover(background)
	require.NoError(t, err)
	require.Equal(t, tempdir.Recovered, outcomeOf(t, report, id).Outcome)
	s.end(t)
}
