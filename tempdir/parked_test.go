//go:build linux

package tempdir_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/upstream"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An upstreamOwner is a live instance of the released protocol in this very
// process: its lock is a POSIX lock, which any close of the file would drop.
func upstreamOwner(t *testing.T, root *tempdir.Root) (owner *upstream.Dir, id, entry string) {
	t.Helper()
	up, err := upstream.New(root.Path(), upstream.Options{})
	require.NoError(t, err)
	before := rootNames(t, root)
	owner, err = up.Create()
	require.NoError(t, err)
	for _, name := range rootNames(t, root) {
		if of, ok := strings.CutPrefix(name, "lock-"); ok && !strings.Contains(strings.Join(before, " "), name) {
			id = of
		}
	}
	entry = owner.StageAddition().Path()
	makeLayer(t, entry)
	return owner, id, entry
}

// openFiles counts the descriptors of this process that lead to path.
func openFiles(t *testing.T, path string) (n int) {
	t.Helper()
	links, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, link := range links {
		if to, _ := os.Readlink(link); strings.TrimSuffix(to, " (deleted)") == path {
			n++
		}
	}
	return n
}

// Nothing that looks at an instance takes the lock away from an upstream owner of
// this process, however often (REVIEW B1, rule 15).
func TestUpstreamOwnerInThisProcessKeepsItsLock(t *testing.T) {
	// What looks first opens the file; the others find it parked.
	for _, first := range []string{"recover", "instances", "try lock", "remove", "usage"} {
		t.Run(first, func(t *testing.T) { lookAtUpstreamOwner(t, first) })
	}
}

func lookAtUpstreamOwner(t *testing.T, first string) {
	k := newTap()
	root := openRoot(t, kernel.With[tempdir.Option](k), tempdir.MixedFleet(0, 0))
	owner, id, entry := upstreamOwner(t, root)
	lock := filepath.Join(root.Path(), "lock-"+id)

	looks := map[string]func(){
		"recover": func() {
			report, err := root.Recover(background)
			require.NoError(t, err)
			require.Equal(t, tempdir.Skipped, outcomeOf(t, report, id).Outcome)
		},
		"instances": func() {
			seen := instanceOf(t, root, id)
			require.Equal(t, tempdir.Live, seen.State)
			require.Equal(t, os.Getpid(), seen.Holder)
		},
		"try lock": func() {
			_, err := root.TryLock("lock-" + id)
			require.ErrorIs(t, err, tempdir.ErrHeld)
		},
		"remove": func() {
			// Remove opens a lock file that has no data beside it.
			data, away := filepath.Join(root.Path(), "temp-dir-"+id), beside(root, "away")
			require.NoError(t, os.Rename(data, away))
			require.ErrorIs(t, tempdir.Remove(background, lock, kernel.With[tempdir.Option](k)), tempdir.ErrForeign)
			require.NoError(t, os.Rename(away, data))
		},
		"usage": func() {
			_, err := root.Usage(background, id)
			require.NoError(t, err)
		},
	}
	looks[first]()
	for range 3 {
		for name, look := range looks {
			look()
			requireLayer(t, entry)
			require.LessOrEqual(t, openFiles(t, lock), 2, "%s: the owner's descriptor and one that is parked", name)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				for _, look := range []string{"recover", "instances", "try lock"} {
					looks[look]()
				}
			}
		})
	}
	group.Wait()
	requireLayer(t, entry)

	require.NoError(t, owner.Cleanup())
	instances, err := root.Instances(background)
	require.NoError(t, err)
	require.Empty(t, instances)
	require.Zero(t, openFiles(t, lock), "what was parked is closed once the owner is gone")
	require.Len(t, k.open, 0)
}

// Parked descriptors belong to the process: another root for the same directory
// finds them, and does not open the file again.
func TestParkedOnceForAllRoots(t *testing.T) {
	root := openRoot(t, tempdir.MixedFleet(0, 0))
	owner, id, entry := upstreamOwner(t, root)
	for range 10 {
		other, err := tempdir.Open(root.Path(), tempdir.MixedFleet(0, 0))
		require.NoError(t, err)
		report, err := other.Recover(background)
		require.NoError(t, err)
		require.Equal(t, 1, report.Count(tempdir.Skipped))
		require.NoError(t, other.Close())
	}
	requireLayer(t, entry)
	require.Equal(t, 2, openFiles(t, filepath.Join(root.Path(), "lock-"+id)))
	require.NoError(t, owner.Cleanup())
	_, err := root.Recover(background)
	require.NoError(t, err)
	require.Zero(t, openFiles(t, filepath.Join(root.Path(), "lock-"+id)))
}

// A file on another device may have the number of one that is parked; one that has
// another name by now is still parked.
func TestParkedFileIsTheFile(t *testing.T) {
	root := openRoot(t, tempdir.MixedFleet(0, 0))
	owner, id, _ := upstreamOwner(t, root)
	look := func() { must(root.Recover(background)) }
	look()
	lock := filepath.Join(root.Path(), "lock-"+id)
	var held unix.Stat_t
	require.NoError(t, unix.Stat(lock, &held))
	other := openRoot(t, tempdir.MixedFleet(0, 0), kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), &stating{func(a *kernel.Attributes) {
		a.Device, a.Inode = uint64(held.Dev)+1, held.Ino
	}})))
	require.NoError(t, os.WriteFile(filepath.Join(other.Path(), "lock-"+staleID), nil, 0o600))
	taken, err := other.TryLock("lock-" + staleID)
	require.NoError(t, err)
	require.NoError(t, taken.Delete())

	require.NoError(t, os.Link(lock, beside(root, "twin")))
	for range 3 {
		_, _ = root.Recover(background)
		_, _ = root.Instances(background)
		_, _ = root.TryLock("lock-" + id)
		_ = tempdir.Remove(background, lock)
		require.Equal(t, 2, openFiles(t, lock), "opened again")
	}
	require.NoError(t, os.Remove(beside(root, "twin")))
	require.NoError(t, owner.Cleanup())
	look()
	require.Zero(t, openFiles(t, lock))
}

// A stating kernel changes what files look like.
type stating struct{ change func(*kernel.Attributes) }

func (*stating) Before(*kernel.Call) error { return nil }
func (k *stating) After(c *kernel.Call) {
	if c.Method == kernel.Stat && c.Attributes.Mode == 0 || c.Method == kernel.StatName {
		k.change(&c.Attributes)
	}
}

// What nobody can tell is not "nobody": the descriptor is kept.
func TestParkedIfTheHolderCannotBeTold(t *testing.T) {
	for _, refused := range []string{"LockHolder", "LockHolder Stat"} {
		k := newTap()
		root := openRoot(t, kernel.With[tempdir.Option](k), tempdir.MixedFleet(0, 0))
		owner, id, entry := upstreamOwner(t, root)
		k.set(func(method, _ string) error {
			if strings.Contains(refused, method) {
				return unix.ENOLCK
			}
			return nil
		})
		for range 3 {
			report, _ := root.Recover(background)
			require.NotEqual(t, tempdir.Recovered, outcomeOf(t, report, id).Outcome)
			require.Equal(t, tempdir.Unknown, instanceOf(t, root, id).State)
			if refused != "LockHolder" {
				break // what it is that is parked cannot be told either
			}
		}
		k.set(nil)
		report, err := root.Recover(background)
		require.NoError(t, err)
		require.Equal(t, tempdir.Skipped, outcomeOf(t, report, id).Outcome)
		requireLayer(t, entry)
		if refused == "LockHolder" {
			require.Equal(t, 2, openFiles(t, filepath.Join(root.Path(), "lock-"+id)))
		}
		require.NoError(t, owner.Cleanup())
		_, err = root.Recover(background)
		require.NoError(t, err)
		require.Empty(t, k.open)
	}
}

// A lock file of upstream's that is young and has no data yet may be about to be
// locked, in this process: looking at it would open and close it.
func TestYoungLockFileIsNotOpened(t *testing.T) {
	k := newTap()
	root := openRoot(t, kernel.With[tempdir.Option](k), tempdir.MixedFleet(long, 0))
	path := filepath.Join(root.Path(), "lock-17")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	k.take()
	require.Equal(t, tempdir.YoungLock, instanceOf(t, root, "17").State)
	report, err := root.Recover(background)
	require.NoError(t, err)
	require.Equal(t, tempdir.Young, outcomeOf(t, report, "17").Outcome)
	calls := k.take()
	assert.NotContains(t, calls, "OpenToInspect")
	assert.NotContains(t, calls, "OpenLock")
	require.NoError(t, os.Mkdir(filepath.Join(root.Path(), "temp-dir-17"), 0o700))
	require.Equal(t, tempdir.Stale, instanceOf(t, root, "17").State, "with data its owner had locked it")
}
