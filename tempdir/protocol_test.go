//go:build linux

package tempdir_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

var background = context.Background()

// What each operation asks of the kernel, call by call. It is the list of crash
// points, and the cost under a store lock: one call a victim.
func TestProtocolCalls(t *testing.T) {
	const (
		removal = "OpenDirectory List OpenDirectory List RemoveEntry List RemoveDirectory Close List RemoveData Close"
		last    = "Stat StatName RemoveLock Close"
	)
	for _, path := range []struct {
		name   string
		before func(method, name string) error
		create string
	}{
		{"publish locked", nil, "OpenUnnamed TakeLock WriteOwner LinkLock MakeData"},
		{"fallback", withoutUnnamed, "CreateLock TakeLock Stat StatName WriteOwner MakeData"},
	} {
		t.Run(path.name, func(t *testing.T) {
			k := newTap()
			k.set(path.before)
			root := openRoot(t, kernel.With[tempdir.Option](&ordering{k, true}))
			warm, err := root.Create() // finds out once which path works
			require.NoError(t, err)
			require.NoError(t, warm.Close(background))
			k.take()

			dir, err := root.Create()
			require.NoError(t, err)
			assert.Equal(t, path.create, k.take(), "create")

			victim := beside(root, "victim")
			require.NoError(t, os.Mkdir(victim, 0o755))
			require.NoError(t, os.WriteFile(filepath.Join(victim, "file"), nil, 0o644))
			require.NoError(t, dir.StageDeletion(victim))
			assert.Equal(t, "StageDeletion", k.take(), "stage a deletion")

			addition, err := dir.StageAddition()
			require.NoError(t, err)
			assert.Equal(t, "", k.take(), "stage an addition")
			require.NoError(t, os.WriteFile(addition.Path(), nil, 0o644))
			require.NoError(t, addition.Commit(beside(root, "committed")))
			assert.Equal(t, "Commit", k.take(), "commit")

			require.NoError(t, dir.Close(background))
			assert.Equal(t, removal+" "+last, k.take(), "close")

			empty, err := root.Create()
			require.NoError(t, err)
			k.take()
			require.NoError(t, empty.Close(background))
			assert.Equal(t, "RemoveData "+last, k.take(), "close, nothing staged")

			_, err = root.Recover(background)
			require.NoError(t, err)
			assert.Equal(t, "OpenDirectory List Close", k.take(), "recover, nothing there")

			live, err := root.Create()
			require.NoError(t, err)
			k.take()
			_, err = root.Recover(background)
			require.NoError(t, err)
			assert.Equal(t, "OpenDirectory List List Close OpenLock Stat TakeLock Close", k.take(), "recover, one live")
			require.NoError(t, live.Close(background))

			makeStale(t, root)
			k.take()
			_, err = root.Recover(background)
			require.NoError(t, err)
			assert.Equal(t, "OpenDirectory List List Close OpenLock Stat TakeLock Stat StatName OpenDirectory List RemoveData Close "+last, k.take(), "recover, one stale")

			makeOrphan(t, root)
			k.take()
			_, err = root.Recover(background)
			require.NoError(t, err)
			adopt := strings.TrimSuffix(path.create, " MakeData")
			if os.Geteuid() != 0 {
				adopt = "StatName " + adopt // whose it is
			}
			assert.Equal(t, "OpenDirectory List List Close "+adopt+" OpenDirectory List RemoveData Close "+last, k.take(), "recover, one orphan")
			assert.Empty(t, rootNames(t, root))
		})
	}
}

const someID = "0123456789abcdef0123456789abcdef"

// Outside ext4, xfs and tmpfs renames are made durable before the first unlink
// (rule 11), by one call that is not under the store lock.
func TestUnorderedFileSystemSyncsBeforeTheFirstUnlink(t *testing.T) {
	k := &ordering{newTap(), false}
	root := openRoot(t, kernel.With[tempdir.Option](k))
	dir, err := root.Create()
	require.NoError(t, err)
	require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "layer"))))
	k.take()
	require.NoError(t, dir.Close(background))
	calls := k.take()
	assert.True(t, strings.HasPrefix(calls, "OpenDirectory SyncData List "), calls)

	k.set(func(method, _ string) error {
		if method == "SyncData" {
			return unix.EIO
		}
		return nil
	})
	dir, err = root.Create()
	require.NoError(t, err)
	require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "layer"))))
	require.ErrorIs(t, dir.Close(background), unix.EIO)
	entries, err := filepath.Glob(root.Path() + "/temp-dir-*/0-layer")
	require.NoError(t, err)
	require.Len(t, entries, 1)
	requireLayer(t, entries[0]) // nothing was unlinked without the sync
	k.set(nil)
	report, err := root.Recover(background)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Count(tempdir.Recovered))
}

// An ordering is a file system that keeps renames in order, or promises nothing,
// whatever the tests run on.
type ordering struct {
	*tap
	ordered bool
}

func (k *ordering) OpenRoot(path string) (int, bool, error) {
	root, _, err := k.tap.OpenRoot(path)
	return root, k.ordered, err
}

// An fs.ErrNotExist from StageDeletion is about the victim, and only about it
// (rule 10): a store takes it for "already deleted" and forgets the layer.
func TestVictimGoneAndInstanceGoneAreDifferentErrors(t *testing.T) {
	root := openRoot(t)
	dir, err := root.Create()
	require.NoError(t, err)

	err = dir.StageDeletion(beside(root, "missing"))
	require.ErrorIs(t, err, tempdir.ErrVictimGone)
	require.ErrorIs(t, err, fs.ErrNotExist)

	require.NoError(t, os.Remove(filepath.Join(root.Path(), "temp-dir-"+dir.ID())))
	layer := makeLayer(t, beside(root, "layer"))
	err = dir.StageDeletion(layer)
	require.ErrorIs(t, err, tempdir.ErrInstanceGone)
	require.NotErrorIs(t, err, fs.ErrNotExist)
	requireLayer(t, layer)

	err = dir.Close(background)
	require.ErrorIs(t, err, tempdir.ErrInstanceGone)
	require.NotErrorIs(t, err, fs.ErrNotExist)
	assert.Empty(t, rootNames(t, root), "its own lock file goes all the same")
}

// The same while it is being closed: what a stranger took is no leftover.
func TestInstanceTakenAwayDuringClose(t *testing.T) {
	for _, method := range []string{"OpenDirectory", "List", "RemoveEntry", "StatName"} {
		t.Run("before "+method, func(t *testing.T) {
			k := newTap()
			root := openRoot(t, kernel.With[tempdir.Option](k))
			dir, err := root.Create()
			require.NoError(t, err)
			require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "layer"))))
			k.set(once(method, func(string) {
				require.NoError(t, os.RemoveAll(filepath.Join(root.Path(), "temp-dir-"+dir.ID())))
				require.NoError(t, os.Remove(filepath.Join(root.Path(), "lock-"+dir.ID())))
			}, nil))
			err = dir.Close(background)
			require.ErrorIs(t, err, tempdir.ErrInstanceGone)
			require.NotErrorIs(t, err, tempdir.ErrLeftover)
			require.NotErrorIs(t, err, fs.ErrNotExist)
		})
	}
}

// A stranger's lock file is not unlinked, whoever held the name before (F3), and
// whether or not the file that is held still has a name elsewhere.
func TestCloseLeavesAStrangersLockFileAlone(t *testing.T) {
	for name, take := range map[string]func(lock string) error{
		"removed": os.Remove,
		"moved":   func(lock string) error { return os.Rename(lock, lock+".moved") },
	} {
		t.Run(name, func(t *testing.T) {
			root := openRoot(t)
			dir, err := root.Create()
			require.NoError(t, err)
			lock := filepath.Join(root.Path(), "lock-"+dir.ID())
			require.NoError(t, take(lock))
			require.NoError(t, os.WriteFile(lock, []byte("stranger"), 0o600))

			require.ErrorIs(t, dir.Close(background), tempdir.ErrInstanceGone)
			content, err := os.ReadFile(lock)
			require.NoError(t, err)
			assert.Equal(t, "stranger", string(content))
		})
	}
}

func TestClosedHandlesSaySo(t *testing.T) {
	root := openRoot(t)
	dir, err := root.Create()
	require.NoError(t, err)
	addition, err := dir.StageAddition()
	require.NoError(t, err)
	layer := makeLayer(t, beside(root, "layer"))

	require.NoError(t, root.Close())
	require.NoError(t, dir.StageDeletion(layer), "a live instance outlives the Root")
	require.NoError(t, dir.Close(background))

	_, stageErr := dir.StageAddition()
	_, createErr := root.Create()
	_, recoverErr := root.Recover(background)
	_, listErr := root.Instances(background)
	_, usageErr := root.Usage(background, dir.ID())
	for name, err := range map[string]error{
		"stage deletion": dir.StageDeletion(layer), "stage addition": stageErr, "commit": addition.Commit(layer),
		"close": dir.Close(background), "create": createErr, "recover": recoverErr, "instances": listErr,
		"usage": usageErr, "close root": root.Close(),
	} {
		assert.ErrorIs(t, err, tempdir.ErrClosed, name)
		assert.ErrorIs(t, err, fs.ErrClosed, name)
		assert.ErrorContains(t, err, name+" /", "operation and path")
	}
}

func TestCommitMovesOnceAndNeverReplaces(t *testing.T) {
	root := openRoot(t)
	dir, err := root.Create()
	require.NoError(t, err)
	addition, err := dir.StageAddition()
	require.NoError(t, err)

	destination := beside(root, "layer")
	err = addition.Commit(destination)
	require.ErrorIs(t, err, tempdir.ErrNothingStaged)
	require.ErrorContains(t, err, addition.Path())

	makeLayer(t, addition.Path())
	require.NoError(t, os.Mkdir(destination, 0o755)) // rename(2) would replace an empty directory
	err = addition.Commit(destination)
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, destination)
	requireLayer(t, addition.Path())

	require.NoError(t, os.Remove(destination))
	err = addition.Commit(filepath.Join(destination, "deeper"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NotErrorIs(t, err, tempdir.ErrNothingStaged)

	require.NoError(t, addition.Commit(destination))
	requireLayer(t, destination)
	require.ErrorIs(t, addition.Commit(destination+"2"), tempdir.ErrCommitted)

	require.NoError(t, dir.Close(background))
	requireLayer(t, destination)
	assert.Empty(t, rootNames(t, root))
}

func TestUncommittedAdditionGoesWithItsInstance(t *testing.T) {
	root := openRoot(t)
	dir, err := root.Create()
	require.NoError(t, err)
	addition, err := dir.StageAddition()
	require.NoError(t, err)
	makeLayer(t, addition.Path())
	require.NoError(t, dir.Close(background))
	assert.Empty(t, rootNames(t, root))
	require.ErrorIs(t, addition.Commit(beside(root, "late")), tempdir.ErrClosed)
}

// A full disk may have no block left for the owner record. The instance works.
func TestOwnerRecordIsNotWorthAFailure(t *testing.T) {
	k := newTap()
	k.set(func(method, _ string) error {
		if method == "WriteOwner" {
			return unix.ENOSPC
		}
		return nil
	})
	root := openRoot(t, kernel.With[tempdir.Option](k))
	dir, err := root.Create()
	require.NoError(t, err)
	instances, err := root.Instances(background)
	require.NoError(t, err)
	require.Len(t, instances, 1)
	assert.Equal(t, tempdir.Live, instances[0].State)
	assert.Nil(t, instances[0].Owner)
	require.NoError(t, dir.Close(background))
}

// F5, F6: a lock that cannot be taken, or a directory that cannot be made, costs
// one attempt, and leaves nothing behind that stays locked.
func TestFailedCreateHoldsNothing(t *testing.T) {
	for _, c := range []struct {
		name, method string
		errno        unix.Errno
		fallback     bool
		left         int
	}{
		{"lock", "TakeLock", unix.ENOLCK, false, 0},
		{"lock, fallback", "TakeLock", unix.ENOLCK, true, 0}, // nobody can have taken it
		{"link", "LinkLock", unix.ENOSPC, false, 0},
		{"recheck, fallback", "StatName", unix.EIO, true, 1},
		{"mkdir", "MakeData", unix.ENOSPC, false, 0},
		{"mkdir, fallback", "MakeData", unix.ENOSPC, true, 0},
		{"mkdir finds a directory", "MakeData", unix.EEXIST, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newTap()
			k.set(func(method, _ string) error {
				if method == c.method {
					return c.errno
				}
				if c.fallback {
					return withoutUnnamed(method, "")
				}
				return nil
			})
			root := openRoot(t, kernel.With[tempdir.Option](k))
			before := len(k.open)
			_, err := root.Create()
			require.ErrorIs(t, err, c.errno)
			require.ErrorContains(t, err, "create "+root.Path())
			assert.Len(t, rootNames(t, root), c.left)
			assert.Len(t, k.open, before, "descriptors")

			k.set(nil)
			report, err := root.Recover(background)
			require.NoError(t, err)
			assert.Equal(t, c.left, report.Count(tempdir.Recovered))
			assert.Empty(t, rootNames(t, root))
		})
	}
}

func TestEntryNamesAreBoundedAndTame(t *testing.T) {
	root := openRoot(t)
	dir, err := root.Create()
	require.NoError(t, err)
	for _, name := range []string{strings.Repeat("n", 255), "-rf *", "a\nb\x1b[2J", "\xff\xfe", "..."} {
		victim := beside(root, name)
		require.NoError(t, os.WriteFile(victim, nil, 0o600))
		require.NoError(t, dir.StageDeletion(victim))
	}
	entries, err := os.ReadDir(filepath.Join(root.Path(), "temp-dir-"+dir.ID()))
	require.NoError(t, err)
	require.Len(t, entries, 5)
	for _, entry := range entries {
		assert.Regexp(t, `^[0-9]-[0-9A-Za-z ._-]{1,48}$`, entry.Name())
	}
	require.NoError(t, dir.Close(background))
}

func TestErrorsNameOperationPathAndReason(t *testing.T) {
	err := &tempdir.LeftoverError{Op: "close", Path: "/r/temp-dir-x", Failed: 3, Reasons: []error{
		&tempdir.Error{Op: "close", Path: "/r/temp-dir-x/0-a\nb", Kind: tempdir.ErrImmutable, Err: unix.EPERM},
	}}
	assert.EqualError(t, err, `close /r/temp-dir-x: could not remove everything: close "/r/temp-dir-x/0-a\nb": `+
		`an immutable or append-only flag is in the way: operation not permitted (and 2 more)`)
	assert.True(t, errors.Is(err, tempdir.ErrLeftover) && errors.Is(err, tempdir.ErrImmutable) && errors.Is(err, unix.EPERM))
}
