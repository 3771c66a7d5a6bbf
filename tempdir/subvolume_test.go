//go:build linux

package tempdir_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
)

func btrfs(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.Command("btrfs", arguments...).CombinedOutput()
	require.NoError(t, err, "%s", output)
	return strings.TrimSpace(string(output))
}

func readOnly(t *testing.T, path string) bool {
	t.Helper()
	return btrfs(t, "property", "get", path, "ro") == "ro=true"
}

// Subvolumes of btrfs are removed like directories, in each other, too. Read-only ones
// are kept with all that is in them, and go where flags are to be cleared.
func TestSubvolumes(t *testing.T) {
	disk := testfs.Btrfs(t)
	if _, err := exec.LookPath("btrfs"); err != nil {
		t.Skip("skipped, because btrfs is not installed")
	}
	create := func(path string) string {
		btrfs(t, "subvolume", "create", path)
		return path
	}
	for name, c := range map[string]struct {
		make   func(victim string) (sealed string) // "": none
		staged bool                                // it can be moved as it is
	}{
		"in each other": {func(victim string) string {
			create(victim)
			makeLayer(t, create(filepath.Join(victim, "a"))+"/layer")
			makeLayer(t, create(filepath.Join(victim, "a/layer/usr/b"))+"/layer")
			return ""
		}, true},
		"a read-only snapshot within, and a subvolume in that": {func(victim string) string {
			makeLayer(t, victim)
			makeLayer(t, create(filepath.Join(victim, "usr/a"))+"/layer")
			create(filepath.Join(victim, "usr/a/layer/nested"))
			btrfs(t, "subvolume", "snapshot", "-r", filepath.Join(victim, "usr/a"), filepath.Join(victim, "snapshot"))
			return filepath.Join(victim, "snapshot")
		}, true},
		"a read-only subvolume in a read-only one": {func(victim string) string {
			outer := create(filepath.Join(makeLayer(t, victim), "outer"))
			inner := create(makeLayer(t, filepath.Join(outer, "layer")) + "/inner")
			makeLayer(t, inner+"/layer")
			btrfs(t, "property", "set", inner, "ro", "true")
			btrfs(t, "property", "set", outer, "ro", "true")
			return outer
		}, true},
		"read-only and deep": {func(victim string) string {
			require.NoError(t, os.MkdirAll(deepPath(create(filepath.Join(makeLayer(t, victim), "deep"))), 0o700))
			btrfs(t, "property", "set", victim+"/deep", "ro", "true")
			return victim + "/deep"
		}, true},
		"a read-only victim": {func(victim string) string {
			makeLayer(t, create(victim)+"/layer")
			btrfs(t, "property", "set", victim, "ro", "true")
			return victim
		}, false},
		"a read-only victim that is empty": {func(victim string) string {
			btrfs(t, "property", "set", create(victim), "ro", "true")
			return ""
		}, false},
	} {
		for _, op := range []string{"stage", "remove"} {
			t.Run(name+"/"+op, func(t *testing.T) {
				dir, err := os.MkdirTemp(disk, "")
				require.NoError(t, err)
				victim := filepath.Join(dir, "victim")
				sealed := c.make(victim)
				root := openAt(t, filepath.Join(dir, "root"))
				do := func(options ...tempdir.Option) error {
					if op == "remove" {
						return tempdir.Remove(background, victim, options...)
					}
					instance, err := openAt(t, root.Path(), options...).Create()
					require.NoError(t, err)
					err = instance.StageDeletion(victim)
					return errors.Join(err, instance.Close(background))
				}
				switch err := do(); {
				case op == "stage" && !c.staged:
					require.ErrorIs(t, err, tempdir.ErrReadOnly)
					require.True(t, readOnly(t, victim), "a diagnosis changes nothing")
					require.NoError(t, do(tempdir.ClearFlags()))
				case sealed == "":
					require.NoError(t, err)
				default:
					require.ErrorIs(t, err, tempdir.ErrReadOnly)
					if op == "remove" {
						require.True(t, readOnly(t, sealed), "a diagnosis changes nothing")
						require.NoError(t, do(tempdir.ClearFlags()))
						break
					}
					_, err := openAt(t, root.Path(), tempdir.ClearFlags()).Recover(background)
					require.NoError(t, err)
				}
				require.NoFileExists(t, victim)
				require.Empty(t, rootNames(t, root))
			})
		}
	}
	t.Run("a victim in a read-only one", func(t *testing.T) {
		snapshot := create(filepath.Join(disk, "snapshot"))
		victim := makeLayer(t, snapshot+"/victim")
		btrfs(t, "property", "set", snapshot, "ro", "true")
		instance, err := openAt(t, filepath.Join(disk, "root"), tempdir.ClearFlags()).Create()
		require.NoError(t, err)
		require.ErrorIs(t, instance.StageDeletion(victim), tempdir.ErrReadOnly)
		require.NoError(t, instance.Close(background))
		require.ErrorIs(t, tempdir.Remove(background, snapshot+"/victim/readme", tempdir.ClearFlags()), tempdir.ErrReadOnly)
		require.True(t, readOnly(t, snapshot))
	})
	t.Run("changed back", func(t *testing.T) {
		k := newTap()
		instance, err := openAt(t, filepath.Join(disk, "root"), tempdir.ClearFlags(), kernel.With[tempdir.Option](k)).Create()
		require.NoError(t, err)
		victim := create(filepath.Join(disk, "victim"))
		btrfs(t, "property", "set", victim, "ro", "true")
		k.set(refuseAgain("StageDeletion"))
		require.ErrorIs(t, instance.StageDeletion(victim), unix.EIO)
		require.True(t, readOnly(t, victim))
		require.NoError(t, instance.Close(background))
		require.Empty(t, k.open)
	})
}
