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
		shift                time.Duration // of modification times: anybody can set them
	}{
		{"all young", long, long, tempdir.Young, tempdir.Young, 0},
		{"bare lock files young", long, tiny, tempdir.Young, tempdir.Recovered, 0},
		{"orphans young", tiny, long, tempdir.Recovered, tempdir.Young, 0},
		{"all old", tiny, tiny, tempdir.Recovered, tempdir.Recovered, 0},
		{"times in the future", tiny, tiny, tempdir.Young, tempdir.Young, 24 * time.Hour}, // as of a clock that was set back
		{"times in the past", long, long, tempdir.Young, tempdir.Young, -48 * time.Hour},
		{"no grace", 0, 0, tempdir.Recovered, tempdir.Recovered, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScene(t, tempdir.MixedFleet(c.lockGrace, c.dataGrace))
			require.NoError(t, os.WriteFile(s.lock(bare), nil, 0o600))
			s.leaveOrphan(t, orphan)
			s.leave(t, whole)
			for _, path := range []string{s.lock(bare), s.data(orphan)} {
				if shifted := time.Now().Add(c.shift); c.shift != 0 {
					require.NoError(t, os.Chtimes(path, shifted, shifted))
				}
			}
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
