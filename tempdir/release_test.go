//go:build linux

package tempdir_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Release is one system call, leaves both names and lets anybody finish.
func TestReleaseLeavesTheInstanceToRecovery(t *testing.T) {
	k := newTap()
	root := openRoot(t, kernel.With[tempdir.Option](k))
	dir, entry := stageNew(t, root, func(path string) { makeLayer(t, path) })
	addition, err := dir.StageAddition()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(addition.Path(), nil, 0o600))
	k.take()
	require.NoError(t, dir.Release())
	assert.Equal(t, "Close", k.take())
	requireLayer(t, entry)
	assert.Equal(t, tempdir.Stale, instanceOf(t, root, dir.ID()).State)
	requireClosed(t, root, dir, addition)
	require.ErrorIs(t, dir.Close(background), tempdir.ErrClosed)
	report, err := root.Recover(background)
	require.NoError(t, err)
	assert.Equal(t, []tempdir.Result{{ID: dir.ID(), Outcome: tempdir.Recovered, Names: 11}}, report.Results)
	assert.Empty(t, rootNames(t, root))

	last, err := root.Create()
	require.NoError(t, err)
	require.NoError(t, root.Close())
	require.NoError(t, last.Release()) // with the last instance goes the root's descriptor
	assert.Empty(t, k.open)
}

// requireClosed wants ErrClosed from everything that could stage.
func requireClosed(t *testing.T, root *tempdir.Root, dir *tempdir.Dir, addition *tempdir.Addition) {
	t.Helper()
	victim := makeLayer(t, beside(root, "another"))
	_, additionErr := dir.StageAddition()
	for _, err := range []error{
		dir.StageDeletion(victim), additionErr, addition.Commit(victim + "-new"), dir.Sync(), dir.Release(),
	} {
		require.ErrorIs(t, err, tempdir.ErrClosed)
	}
	requireLayer(t, victim)
}

// Nobody waits for a removal: while one goes on every other call returns at once
// (REVIEW B4). The removal ends only after they have.
func TestNobodyWaitsForARemoval(t *testing.T) {
	for _, method := range []string{"OpenDirectory", "List", "RemoveEntry", "RemoveData", "RemoveLock", "Close"} {
		t.Run(method, func(t *testing.T) {
			k := newTap()
			root := openRoot(t, kernel.With[tempdir.Option](k))
			dir, _ := stageNew(t, root, func(path string) { makeLayer(t, path) })
			addition, err := dir.StageAddition()
			require.NoError(t, err)
			reached, goOn := make(chan struct{}), make(chan struct{})
			var once sync.Once
			k.set(func(at, _ string) error {
				if at == method {
					once.Do(func() { close(reached); <-goOn })
				}
				return nil
			})
			removed := make(chan error)
			go func() { removed <- dir.Close(background) }()
			<-reached
			require.True(t, tempdir.Unlocked(dir), "the mutex is held for the removal") // what follows would wait for ever
			requireClosed(t, root, dir, addition)
			require.ErrorIs(t, dir.Close(background), tempdir.ErrClosed)
			close(goOn)
			require.NoError(t, <-removed)
			assert.Empty(t, rootNames(t, root))
		})
	}
}

// Nobody waits for a sync either.
func TestStagingDoesNotWaitForASync(t *testing.T) {
	k := newTap()
	root := openRoot(t, kernel.With[tempdir.Option](k))
	dir, _ := stageNew(t, root, func(path string) { makeLayer(t, path) })
	reached, goOn := make(chan struct{}), make(chan struct{})
	k.set(func(at, _ string) error {
		if at == "SyncData" {
			close(reached)
			<-goOn
		}
		return nil
	})
	synced := make(chan error)
	go func() { synced <- dir.Sync() }()
	<-reached
	require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "meanwhile"))))
	close(goOn)
	require.NoError(t, <-synced)
	k.set(nil) // where renames are not ordered, Close syncs too
	require.NoError(t, dir.Close(background))
	assert.Empty(t, rootNames(t, root))
}

// An orphan may be a live instance whose lock file a cleaner took: it is left
// alone for a day, unless the caller says otherwise (FIELD 31).
func TestOrphanHasADay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root")
	usual, err := tempdir.Open(path, tempdir.Make(0o700))
	require.NoError(t, err)
	defer usual.Close()
	dir, entry := stageNew(t, usual, func(path string) { makeLayer(t, path) })
	require.NoError(t, os.Remove(filepath.Join(path, "lock-"+dir.ID())))
	for _, root := range []*tempdir.Root{usual, openAt(t, path, tempdir.OrphanGrace(long))} {
		report, err := root.Recover(background)
		require.NoError(t, err)
		require.Equal(t, []tempdir.Result{{ID: dir.ID(), Outcome: tempdir.Young}}, report.Results)
		requireLayer(t, entry)
	}
	for _, root := range []*tempdir.Root{openAt(t, path, tempdir.OrphanGrace(tiny)), openAt(t, path, tempdir.OrphanGrace(0))} {
		makeLayer(t, filepath.Join(path, "temp-dir-"+someID, "0-layer"))
		report, err := root.Recover(background)
		require.NoError(t, err)
		require.Equal(t, tempdir.Result{ID: someID, Outcome: tempdir.Recovered, Adopted: true, Names: 10}, outcomeOf(t, report, someID))
	}
	require.ErrorIs(t, dir.Close(background), tempdir.ErrInstanceGone)
}
