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
			root := openRoot(t, ordered(k, true))
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
			adopt := "StatName " + strings.TrimSuffix(path.create, " MakeData") // whose it is
			assert.Equal(t, "OpenDirectory List List Close "+adopt+" OpenDirectory List RemoveData Close "+last, k.take(), "recover, one orphan")
			assert.Empty(t, rootNames(t, root))
		})
	}
}

const someID = "0123456789abcdef0123456789abcdef"

// Outside ext4, xfs and tmpfs renames are made durable before the first unlink
// (rule 11), by one call that is not under the store lock.
func TestUnorderedFileSystemSyncsBeforeTheFirstUnlink(t *testing.T) {
	k := newTap()
	root := openRoot(t, ordered(k, false))
	dir, err := root.Create()
	require.NoError(t, err)
	require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "layer"))))
	k.take()
	require.NoError(t, dir.Close(background))
	calls := k.take()
	assert.True(t, strings.HasPrefix(calls, "OpenDirectory SyncData List "), calls)

	k.set(refuse("SyncData", unix.EIO))
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

// ordered is a tap on a file system that keeps renames in order, or promises nothing,
// whatever the tests run on.
func ordered(k *tap, is bool) tempdir.Option {
	return kernel.With[tempdir.Option](kernel.Around(k, after(func(c *kernel.Call) { c.Ordered = is })))
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

func TestErrorsNameOperationPathAndReason(t *testing.T) {
	err := &tempdir.LeftoverError{Op: "close", Path: "/r/temp-dir-x", Failed: 3, Reasons: []error{
		&tempdir.Error{Op: "close", Path: "/r/temp-dir-x/0-a\nb", Kind: tempdir.ErrImmutable, Err: unix.EPERM},
	}}
	assert.EqualError(t, err, `close /r/temp-dir-x: could not remove everything: close "/r/temp-dir-x/0-a\nb": `+
		`an immutable or append-only flag is in the way: operation not permitted (and 2 more)`)
	assert.True(t, errors.Is(err, tempdir.ErrLeftover) && errors.Is(err, tempdir.ErrImmutable) && errors.Is(err, unix.EPERM))
}
