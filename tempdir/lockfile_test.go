//go:build linux

package tempdir_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// typeless stands for a file system that does not say in a listing what type a name has.
var typeless = after(func(c *kernel.Call) {
	for i := range c.Entries {
		c.Entries[i].Type = fs.ModeIrregular
	}
})

// listings are those under which an odd name has to be found out.
func listings() map[string]tempdir.Option {
	kernels := map[string]tempdir.Option{"typed": kernel.With[tempdir.Option](kernel.Linux())}
	if !testing.Short() {
		kernels["typeless"] = kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), typeless))
	}
	return kernels
}

// except lists the kinds of makers without some.
func except(kinds ...string) []string {
	var rest []string
	for kind := range makers {
		if !slices.Contains(kinds, kind) {
			rest = append(rest, kind)
		}
	}
	slices.Sort(rest)
	return rest
}

// A lock file that is none is not taken, opened for writing, followed, or
// removed; and the data beside it stays, because nobody can own it.
func TestLockFileThatIsNone(t *testing.T) {
	for listing, k := range listings() {
		for _, kind := range except("file", "unreadable file") {
			for _, data := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/data=%t", listing, kind, data), func(t *testing.T) {
					s := newScene(t, k)
					makers[kind](t, s.lock(badID), s.outside)
					if data {
						s.leaveOrphan(t, badID)
					}
					requireOdd(t, s, s.lock(badID), data)
				})
			}
		}
	}
}

// A data directory that is none is not followed or removed, with a lock file
// and without.
func TestDataThatIsNoDirectory(t *testing.T) {
	for listing, k := range listings() {
		for _, kind := range except("directory") {
			for _, lock := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/lock=%t", listing, kind, lock), func(t *testing.T) {
					s := newScene(t, k)
					makers[kind](t, s.data(badID), s.outside)
					if lock {
						makers["file"](t, s.lock(badID), s.outside)
					}
					requireOdd(t, s, s.data(badID), true)
				})
			}
		}
	}
}

// requireOdd wants the name path of badID reported as not ours, nothing of the
// id touched, and once it is gone the rest recovered as ever.
func requireOdd(t *testing.T, s *scene, path string, data bool) {
	t.Helper()
	before := testfs.Snapshot(t, s.root.Path())
	seen := instanceOf(t, s.root, badID)
	require.Equal(t, tempdir.Unknown, seen.State)
	require.Equal(t, data, seen.Data)
	requireRefusal(t, seen.Err, "instances", path, tempdir.ErrForeign)

	report, err := s.unharmed(t)
	requireRefusal(t, err, "recover", path, tempdir.ErrForeign)
	require.Equal(t, tempdir.Failed, outcomeOf(t, report, badID).Outcome)
	require.Empty(t, report.Foreign, "a name with the grammar is a failure, not a foreign name")
	for path, what := range before {
		if rel, _ := filepath.Rel(s.root.Path(), path); rel == "." || strings.Contains(rel, staleID) {
			continue
		}
		require.Equal(t, what, testfs.Snapshot(t, s.root.Path())[path], "%s", path)
	}

	require.NoError(t, os.RemoveAll(path))
	_, err = s.root.Recover(background)
	require.NoError(t, err)
	s.end(t)
}

// A lock file has one name, ever. One with two is somebody's file, and it is
// not even locked.
func TestLockFileWithAnotherNameInTheRoot(t *testing.T) {
	s := newScene(t)
	twin := idOf("bad2")
	s.leave(t, badID)
	s.leaveOrphan(t, twin)
	require.NoError(t, os.Link(s.lock(badID), s.lock(twin)))
	report, err := s.unharmed(t)
	requireRefusal(t, err, "recover", s.lock(badID), tempdir.ErrForeign)
	requireRefusal(t, err, "recover", s.lock(twin), tempdir.ErrForeign)
	require.Equal(t, 2, report.Count(tempdir.Failed))
	requireLayer(t, filepath.Join(s.data(badID), "0-layer"))
	requireLayer(t, filepath.Join(s.data(twin), "0-layer"))

	require.NoError(t, os.Remove(s.lock(twin)))
	_, err = s.root.Recover(background)
	require.NoError(t, err)
	s.end(t)
}

// Somebody gave the lock file of a live instance a second name: the instance
// stays live, and its owner can end it.
func TestLiveLockFileWithAnotherName(t *testing.T) {
	for where, path := range map[string]func(s *scene) string{
		"outside":     func(s *scene) string { return beside(s.root, "twin") },
		"in the root": func(s *scene) string { return s.lock(badID) },
	} {
		t.Run(where, func(t *testing.T) {
			s := newScene(t)
			dir, err := s.root.Create()
			require.NoError(t, err)
			require.NoError(t, dir.StageDeletion(s.victim))
			require.NoError(t, os.Link(s.lock(dir.ID()), path(s)))
			report, _ := s.root.Recover(background)
			require.NotEqual(t, tempdir.Recovered, outcomeOf(t, report, dir.ID()).Outcome)
			requireLayer(t, filepath.Join(s.data(dir.ID()), "0-victim"))
			require.NoError(t, dir.Close(background))
			require.NoError(t, os.Remove(path(s)))
			s.end(t)
		})
	}
}

// Links inside the data lead outside; they go, and what they lead to stays.
func TestLinksInStaleData(t *testing.T) {
	s := newScene(t)
	for _, kind := range []string{"link to tree", "link to file", "hard link", "dangling link", "link to itself"} {
		makers[kind](t, filepath.Join(s.data(staleID), kind), s.outside)
	}
	_, err := s.unharmed(t)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(s.outside, "new"))
	s.end(t)
}

// Where a listing says no types and the inode cannot be asked either, the
// instance is a failure, and not passed over in silence.
func TestTypeThatCannotBeFoundOut(t *testing.T) {
	k := newTap()
	s := newScene(t, kernel.With[tempdir.Option](kernel.Around(k, typeless)))
	k.set(refuse("StatName", unix.EIO))
	report, err := s.root.Recover(background)
	instances, _ := s.root.Instances(background)
	k.set(nil)
	requireRefusal(t, err, "recover", s.root.Path(), unix.EIO)
	require.Zero(t, report.Count(tempdir.Recovered))
	require.Len(t, instances, 2)
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

// hidesMounts is a kernel without STATX_ATTR_MOUNT_ROOT (Linux before 5.8).
var hidesMounts = after(func(c *kernel.Call) {
	c.Attributes.MountRoot, c.Attributes.MountUnknown = false, true
})

// A file that is mounted over a lock file has a lock of its own: that it is free
// says nothing of the instance, and taking it would remove live data. Unknown is
// not no (rule 14): that holds on kernels that cannot tell a mount point, too.
func TestMountOverALockFile(t *testing.T) {
	if !mounting(t) {
		return
	}
	for name, lack := range map[string]testfs.Lack{
		"openat2": {}, "level by level": {Calls: map[string]syscall.Errno{"openat2": unix.ENOSYS}},
	} {
		t.Run(name, func(t *testing.T) {
			testfs.Without(t, lack, func(t *testing.T) {
				s := newScene(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), hidesMounts)))
				live := s.live.ID()
				cover := filepath.Join(s.outside, "cover")
				require.NoError(t, os.WriteFile(cover, nil, 0o600))
				t.Run("mounted", func(t *testing.T) {
					testfs.Bind(t, cover, s.lock(live))
					report, err := s.root.Recover(background)
					requireRefusal(t, err, "recover", s.lock(live), tempdir.ErrMountPoint)
					require.Equal(t, tempdir.Failed, outcomeOf(t, report, live).Outcome)
					requireLayer(t, filepath.Join(s.data(live), "0-neighbour"))
					_, err = s.root.TryLock("lock-" + live)
					requireRefusal(t, err, "try lock", s.lock(live), tempdir.ErrMountPoint)
				})
				require.NoError(t, os.Remove(cover))
				s.end(t)
			})
		})
	}
}

// A lock that cannot be taken is a failure and not a live instance (F9).
func TestLockThatCannotBeTakenIsNotLive(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOLCK, unix.EACCES, unix.EIO, unix.ENOSYS, unix.EINVAL, unix.EDEADLK} {
		t.Run(errno.Error(), func(t *testing.T) {
			k := newTap()
			s := newScene(t, kernel.With[tempdir.Option](k))
			orphan := idOf("0")
			s.leaveOrphan(t, orphan)
			k.set(refuse("TakeLock", errno))
			report, err := s.root.Recover(background)
			_, createErr := s.root.Create()
			k.set(nil)
			requireRefusal(t, err, "recover", s.lock(staleID), errno)
			requireRefusal(t, createErr, "create", s.root.Path(), errno)
			require.Zero(t, report.Count(tempdir.Skipped))
			require.Zero(t, report.Count(tempdir.Recovered))
			for _, id := range []string{orphan, staleID} {
				require.Equal(t, tempdir.Failed, outcomeOf(t, report, id).Outcome)
				requireLayer(t, filepath.Join(s.data(id), "0-layer"))
			}
			_, err = s.unharmed(t)
			require.NoError(t, err)
			s.end(t)
		})
	}
}
