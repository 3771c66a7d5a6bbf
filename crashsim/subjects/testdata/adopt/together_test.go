package tempdir

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"MODULE/internal/staging_lockfile"
	"github.com/afterlock/afterlock/tempdir/compat"
	"github.com/stretchr/testify/require"
)

// TestTogetherNeitherTakesTheOthersInstance has live instances of both packages in
// one root, and recoveries by both.
func TestTogetherNeitherTakesTheOthersInstance(t *testing.T) {
	base := t.TempDir()
	root, staging := filepath.Join(base, "root"), filepath.Join(base, "staging.lock")
	theirs, err := NewTempDir(root)
	require.NoError(t, err)
	ours, err := compat.NewTempDir(root)
	require.NoError(t, err)
	one, err := theirs.StageAddition()
	require.NoError(t, err)
	other, err := ours.StageAddition()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(one.Path, nil, 0o600))
	require.NoError(t, os.WriteFile(other.Path, nil, 0o600))
	lock, err := staging_lockfile.TryLockPath(staging)
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, compat.RecoverStaleDirs(root))
		require.NoError(t, RecoverStaleDirs(root))
		_, err := compat.TryLockPath(staging)
		require.Error(t, err, "two holders of a staging lock")
	}
	require.NoError(t, lock.UnlockAndDelete())
	require.NoError(t, one.Commit(filepath.Join(base, "one")))
	require.NoError(t, other.Commit(filepath.Join(base, "other")))
	require.NoError(t, theirs.Cleanup())
	require.NoError(t, ours.Cleanup())
	left, err := os.ReadDir(root)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestTogetherOwnersBesideOurRecoverers has goroutines that own instances of this
// package, and others that recover with compat.
func TestTogetherOwnersBesideOurRecoverers(t *testing.T) {
	base := t.TempDir()
	root := filepath.Join(base, "root")
	require.NoError(t, os.Mkdir(root, 0o700))
	var owners, recoverers sync.WaitGroup
	var done atomic.Bool
	for owner := range 4 {
		owners.Go(func() {
			for i := range 500 {
				if err := own(root, filepath.Join(base, fmt.Sprint(owner, "-", i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 2 {
		recoverers.Go(func() {
			for !done.Load() {
				if err := compat.RecoverStaleDirs(root); err != nil {
					t.Error(err)
				}
			}
		})
	}
	owners.Wait()
	done.Store(true)
	recoverers.Wait()
}

// own is one life of an instance.
func own(root, destination string) error {
	td, err := NewTempDir(root)
	if err != nil {
		return err
	}
	addition, err := td.StageAddition()
	if err != nil {
		return err
	}
	path := addition.Path
	for i := range 5 {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(path, strconv.Itoa(i)), nil, 0o600); err != nil {
			return err
		}
	}
	if err := addition.Commit(destination); err != nil {
		return err
	}
	if entries, err := os.ReadDir(destination); err != nil || len(entries) != 5 {
		return fmt.Errorf("%d of 5 files committed: %w", len(entries), err)
	}
	if err := td.StageDeletion(destination); err != nil {
		return err
	}
	return td.Cleanup()
}
