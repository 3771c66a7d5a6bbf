//go:build linux

package tempdir_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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
	k := newTap()
	root := openRoot(t, kernel.With[tempdir.Option](k))
	k.set(refuse("RemoveEntry", unix.EIO))
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
