//go:build linux

package tempdir_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func init() {
	// owner PATH VICTIM...: makes a live instance, stages, waits for its end.
	proc.Register("owner", func(arguments []string) {
		root := must(tempdir.Open(arguments[0], tempdir.Purpose("test")))
		dir := must(root.Create())
		for _, victim := range arguments[1:] {
			must(0, dir.StageDeletion(victim))
		}
		proc.Parent.Say("%s", dir.ID())
		proc.Parent.Await()
		must(0, dir.Close(context.Background()))
	})
}

// The whole story: live while its process lives, stale when it is killed, gone
// after any other process has recovered.
func TestKilledOwnerIsRecovered(t *testing.T) {
	root := openRoot(t)
	layer := makeLayer(t, beside(root, "layer"))
	owner := proc.Start(t, "owner", root.Path(), layer)
	id := owner.Says(t)
	entry := filepath.Join(root.Path(), "temp-dir-"+id, "0-layer")

	instances, err := root.Instances(background)
	require.NoError(t, err)
	require.Len(t, instances, 1)
	assert.Equal(t, tempdir.Live, instances[0].State)
	assert.Equal(t, id, instances[0].Name)
	require.NotNil(t, instances[0].Owner)
	assert.Equal(t, owner.Process.Pid, instances[0].Owner.PID)
	assert.Equal(t, "test", instances[0].Owner.Purpose)
	assert.NotEmpty(t, instances[0].Owner.Boot)
	assert.NotZero(t, instances[0].Owner.Start)
	assert.Equal(t, filepath.Base(os.Args[0]), instances[0].Owner.Executable)

	report, err := root.Recover(background)
	require.NoError(t, err)
	assert.Equal(t, []tempdir.Result{{ID: id, Outcome: tempdir.Skipped}}, report.Results)
	requireLayer(t, entry)

	owner.Kill()
	instances, err = root.Instances(background)
	require.NoError(t, err)
	require.Len(t, instances, 1)
	assert.Equal(t, tempdir.Stale, instances[0].State)
	usage, err := root.Usage(background, id)
	require.NoError(t, err)
	assert.Equal(t, int64(10), usage.Files)
	assert.False(t, usage.Partial)

	report, err = root.Recover(background)
	require.NoError(t, err)
	assert.Equal(t, []tempdir.Result{{ID: id, Outcome: tempdir.Recovered}}, report.Results)
	assert.Empty(t, rootNames(t, root))
	assert.NoDirExists(t, layer)
}

// An owner that is not killed finishes by itself.
func TestOrderlyOwnerLeavesNothing(t *testing.T) {
	root := openRoot(t)
	owner := proc.Start(t, "owner", root.Path(), makeLayer(t, beside(root, "layer")))
	owner.Says(t)
	require.NoError(t, owner.End())
	assert.Empty(t, rootNames(t, root))
}

// Rule 12: many at once, all of them finish, each instance is recovered.
func TestManyRecoverersAtOnce(t *testing.T) {
	root := openRoot(t)
	const stale, orphans, recoverers = 20, 20, 8
	for i := range stale + orphans {
		id := fmt.Sprintf("%032x", i)
		if i < stale {
			require.NoError(t, os.WriteFile(filepath.Join(root.Path(), "lock-"+id), nil, 0o600))
		}
		makeLayer(t, filepath.Join(root.Path(), "temp-dir-"+id, "0-layer"))
	}
	live, err := root.Create()
	require.NoError(t, err)
	layer := makeLayer(t, beside(root, "live"))
	require.NoError(t, live.StageDeletion(layer))

	var wait sync.WaitGroup
	for range recoverers {
		wait.Go(func() {
			report, err := root.Recover(background)
			assert.NoError(t, err)
			assert.Zero(t, report.Count(tempdir.Failed))
		})
	}
	wait.Wait()
	names := rootNames(t, root)
	assert.Equal(t, []string{"lock-" + live.ID(), "temp-dir-" + live.ID()}, names)
	requireLayer(t, filepath.Join(root.Path(), "temp-dir-"+live.ID(), "0-live"))
	require.NoError(t, live.Close(background))
}

// Rule 5: what cannot be removed keeps both names and no lock, so that another
// handle finishes when the cause is gone, in this process too (F7, F8).
func TestFailedRemovalReleasesTheLockAndKeepsTheNames(t *testing.T) {
	failing := func(method, _ string) error {
		if method == "RemoveEntry" {
			return unix.EIO
		}
		return nil
	}
	k := newTap()
	root := openRoot(t, kernel.With[tempdir.Option](k))
	k.set(failing)
	dir, err := root.Create()
	require.NoError(t, err)
	require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "layer"))))

	err = dir.Close(background)
	var left *tempdir.LeftoverError
	require.ErrorAs(t, err, &left)
	require.ErrorIs(t, err, tempdir.ErrLeftover)
	require.ErrorIs(t, err, unix.EIO)
	assert.Equal(t, 5, left.Failed, "every file is tried: one call names all reasons")
	assert.ErrorContains(t, err, filepath.Join(root.Path(), "temp-dir-"+dir.ID(), "0-layer", "etc", "passwd"))
	assert.Len(t, rootNames(t, root), 2)

	report, err := root.Recover(background)
	require.ErrorIs(t, err, tempdir.ErrLeftover)
	assert.Equal(t, 1, report.Count(tempdir.Failed))
	assert.Len(t, rootNames(t, root), 2)

	// Others are not affected, and one that fails does not stop the rest.
	makeStale(t, root)
	report, err = root.Recover(background)
	require.ErrorIs(t, err, tempdir.ErrLeftover)
	assert.Equal(t, 1, report.Count(tempdir.Failed))
	assert.Equal(t, 1, report.Count(tempdir.Recovered))

	other := openAt(t, root.Path())
	report, err = other.Recover(background)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Count(tempdir.Recovered))
	assert.Empty(t, rootNames(t, root))
}

// A recovery that is cut off after any number of calls leaves work that the
// next one finishes; here by cancellation, which needs no process.
func TestCancelledRemovalIsResumed(t *testing.T) {
	k := newTap()
	root := openRoot(t, kernel.With[tempdir.Option](k))
	dir, err := root.Create()
	require.NoError(t, err)
	const files = 100
	layer := beside(root, "layer")
	require.NoError(t, os.Mkdir(layer, 0o755))
	for i := range files {
		require.NoError(t, os.WriteFile(filepath.Join(layer, fmt.Sprint(i)), nil, 0o644))
	}
	require.NoError(t, dir.StageDeletion(layer))

	ctx, cancel := context.WithCancel(background)
	removed := 0
	k.set(func(method, _ string) error {
		if method == "RemoveEntry" {
			if removed++; removed == files/2 {
				cancel()
			}
		}
		return nil
	})
	err = dir.Close(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, tempdir.ErrLeftover)
	assert.Equal(t, files/2, removed, "not one more")

	report, err := root.Recover(ctx)
	require.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, report.Results)

	_, err = root.Recover(background)
	require.NoError(t, err)
	assert.Equal(t, files, removed, "the second half only")
	assert.Empty(t, rootNames(t, root))
}

// Goroutines that create, delete, add and recover on one handle, for the race
// detector and for the protocol.
func TestConcurrentUseOfOneRoot(t *testing.T) {
	root := openRoot(t)
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	var wait sync.WaitGroup
	for g := range 4 {
		wait.Go(func() {
			for i := range rounds {
				dir, err := root.Create()
				if !assert.NoError(t, err) {
					return
				}
				source := beside(root, fmt.Sprintf("victim-%d-%d", g, i))
				assert.NoError(t, os.Mkdir(source, 0o755))
				assert.NoError(t, dir.StageDeletion(source))
				addition, err := dir.StageAddition()
				assert.NoError(t, err)
				assert.NoError(t, os.Mkdir(addition.Path(), 0o755))
				assert.NoError(t, addition.Commit(beside(root, fmt.Sprintf("added-%d-%d", g, i))))
				assert.NoError(t, dir.Close(background))
			}
		})
		wait.Go(func() {
			for range rounds {
				_, err := root.Recover(background)
				assert.NoError(t, err)
				_, err = root.Instances(background)
				assert.NoError(t, err)
			}
		})
	}
	wait.Wait()
	assert.Empty(t, rootNames(t, root))
	added, err := filepath.Glob(beside(root, "added-*"))
	require.NoError(t, err)
	assert.Len(t, added, 4*rounds)
}

// One Dir used by several goroutines: entries never collide, and Close waits.
func TestConcurrentUseOfOneDir(t *testing.T) {
	root := openRoot(t)
	dir, err := root.Create()
	require.NoError(t, err)
	var wait sync.WaitGroup
	for g := range 8 {
		victim := beside(root, fmt.Sprint(g))
		require.NoError(t, os.Mkdir(victim, 0o755))
		wait.Go(func() { assert.NoError(t, dir.StageDeletion(victim)) })
	}
	wait.Wait()
	entries, err := os.ReadDir(filepath.Join(root.Path(), "temp-dir-"+dir.ID()))
	require.NoError(t, err)
	assert.Len(t, entries, 8)
	require.NoError(t, dir.Close(background))
}

// Neither memory nor descriptors nor goroutines grow with instances that are
// gone (rule 8), and a Root gives its own descriptor back.
func TestNothingIsLeftOpen(t *testing.T) {
	descriptors := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(names)
	}
	before := descriptors()
	root, err := tempdir.Open(filepath.Join(t.TempDir(), "root"), tempdir.Make(0o700))
	require.NoError(t, err)
	for range 100 {
		dir, err := root.Create()
		require.NoError(t, err)
		require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "layer"))))
		require.NoError(t, dir.Close(background))
	}
	makeStale(t, root)
	_, err = root.Recover(background)
	require.NoError(t, err)
	_, err = root.Instances(background)
	require.NoError(t, err)
	dir, err := root.Create()
	require.NoError(t, err)
	assert.Equal(t, before+2, descriptors(), "one for the root, one for the instance")
	require.NoError(t, dir.Close(background))
	require.NoError(t, root.Close())
	assert.Equal(t, before, descriptors())
}

func TestInstancesTellsTheStatesApart(t *testing.T) {
	root := openRoot(t, tempdir.Purpose("image removal"))
	live, err := root.Create()
	require.NoError(t, err)
	stale, orphan := strings.Repeat("a", 32), strings.Repeat("b", 32)
	for _, name := range []string{"lock-" + stale, "notes.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(root.Path(), name), []byte("garbage"), 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(root.Path(), "temp-dir-"+orphan), 0o700))
	instances, err := root.Instances(background)
	require.NoError(t, err)
	seen := map[string]string{}
	for _, instance := range instances {
		seen[instance.Name] = fmt.Sprintf("%s data=%t owner=%t", instance.State, instance.Data, instance.Owner != nil)
		assert.False(t, instance.Changed.IsZero())
	}
	assert.Equal(t, map[string]string{
		live.ID():   "live data=true owner=true",
		stale:       "stale data=false owner=false",
		orphan:      "orphan data=true owner=false",
		"notes.txt": "foreign data=false owner=false",
	}, seen)
	assert.Equal(t, "notes.txt", instances[len(instances)-1].Name, "foreign names come last")
	require.NoError(t, live.Close(background))
}
