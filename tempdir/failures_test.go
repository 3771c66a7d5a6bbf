//go:build linux

package tempdir_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A lock that cannot be taken is a failure and not a live instance (F9).
func TestLockThatCannotBeTakenIsNotLive(t *testing.T) {
	for _, errno := range []unix.Errno{unix.ENOLCK, unix.EACCES, unix.EIO, unix.ENOSYS, unix.EINVAL, unix.EDEADLK} {
		t.Run(errno.Error(), func(t *testing.T) {
			k := newFaulty(t, fault{method: "TakeLock", errno: errno})
			s := newScene(t, kernel.With[tempdir.Option](k))
			orphan := idOf("0")
			s.leaveOrphan(t, orphan)
			k.arm(true)
			report, err := s.root.Recover(background)
			_, createErr := s.root.Create()
			k.arm(false)
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

// faultModes are when a call fails, and on which way instances are made.
var faultModes = []struct {
	name             string
	late, once, long bool
	named            bool // without O_TMPFILE
}{
	{name: "every call"},
	{name: "first call", once: true, long: true},
	{name: "every call after its effect", late: true, long: true},
	{name: "first call after its effect", late: true, once: true},
	{name: "every call, fallback", named: true},
	{name: "first call after its effect, fallback", late: true, once: true, named: true, long: true},
}

// Whatever single call fails, and whatever the errno: every operation succeeds
// or says what failed, everything is whole at its old or its new place, no
// descriptor stays open, and once the fault is over one Recover leaves nothing.
func TestFaultAtEveryCall(t *testing.T) {
	methods := reflect.TypeFor[kernel.Kernel]()
	unreached := map[string]bool{}
	for i := range methods.NumMethod() {
		unreached[methods.Method(i).Name] = true
	}
	base := elsewhere(t) // in memory: nothing here depends on the file system
	for _, mode := range faultModes {
		if mode.long && testing.Short() {
			continue
		}
		for i := range methods.NumMethod() {
			for _, errno := range []unix.Errno{unix.EIO, unix.ENOSPC, unix.EMFILE, unix.EACCES} {
				f := fault{methods.Method(i).Name, errno, mode.late, mode.once}
				t.Run(fmt.Sprintf("%s/%s/%s", mode.name, f.method, unix.ErrnoName(errno)), func(t *testing.T) {
					dir, err := os.MkdirTemp(base, "fault")
					require.NoError(t, err)
					if requireSurvives(t, dir, f, mode.named) {
						delete(unreached, f.method)
					}
					require.NoError(t, os.RemoveAll(dir))
				})
			}
		}
	}
	// OpenRoot: no instance yet, see below. OpenParent is for removals in place,
	// flags need one that is set, Detach a mount, and the last two a file system
	// without RENAME_NOREPLACE.
	require.Equal(t, map[string]bool{"OpenRoot": true, "OpenParent": true, "ClearFlags": true, "SetFlags": true, "Detach": true, "ShareLock": true,
		"CommitPlainly": true, "LinkEntry": true}, unreached)
}

// requireSurvives runs every operation with the fault, and reports whether one
// met it.
func requireSurvives(t *testing.T, base string, f fault, named bool) (met bool) {
	k := newFaulty(t, f)
	var sys kernel.Kernel = k
	if named {
		sys = onlyNamed{k}
	}
	s := newSceneAt(t, base, kernel.With[tempdir.Option](sys))
	s.leaveOrphan(t, idOf("0"))
	require.NoError(t, os.Mkdir(filepath.Join(s.data(staleID), "closed"), 0o700))
	doomed, err := s.root.Create()
	require.NoError(t, err)
	deep := beside(s.root, "deep")
	require.NoError(t, os.MkdirAll(deepPath(deep), 0o700))
	require.NoError(t, doomed.StageDeletion(deep))
	addition, err := s.live.StageAddition()
	require.NoError(t, err)
	makeLayer(t, addition.Path())
	destination := beside(s.root, "destination")
	open := len(k.open)

	k.arm(true)
	created, createErr := s.root.Create()
	stageErr := s.live.StageDeletion(s.victim)
	commitErr := addition.Commit(destination)
	closeErr := doomed.Close(background)
	_, recoverErr := s.root.Recover(background)
	_, listErr := s.root.Instances(background)
	_, usageErr := s.root.Usage(background, s.live.ID())
	k.arm(false)

	reason := f.errno
	if f.method == "ChangeMode" {
		reason = unix.EACCES // what it could not mend
	}
	for op, err := range map[string]error{
		"create": createErr, "stage deletion": stageErr, "commit": commitErr,
		"close": closeErr, "recover": recoverErr, "instances": listErr, "usage": usageErr,
	} {
		if err != nil {
			requireRefusal(t, err, op, base, reason)
		}
	}
	entry := filepath.Join(s.data(s.live.ID()), "2-victim")
	requireOneLayer(t, s.victim, entry, stageErr, f.late)
	requireOneLayer(t, addition.Path(), destination, commitErr, f.late)
	requireLayer(t, s.outside)
	s.liveUnharmed(t)
	open-- // of doomed
	if created != nil {
		open++
	}
	require.Len(t, k.open, open, "descriptors left open")
	if created != nil {
		require.NoError(t, created.Close(background))
	}
	require.NoError(t, s.live.Close(background))
	_, err = s.root.Recover(background)
	require.NoError(t, err, "the fault is over")
	require.Empty(t, rootNames(t, s.root))
	require.NoError(t, s.root.Close())
	require.Empty(t, k.open)
	return k.hits > 0
}

// deepPath is deeper below path than a removal has descriptors.
func deepPath(path string) string {
	for range 40 {
		path = filepath.Join(path, "d")
	}
	return path
}

// requireOneLayer wants one whole layer after a rename: at its new place if it
// succeeded, at its old if it failed, at either if the failure came late.
func requireOneLayer(t *testing.T, before, after string, err error, late bool) {
	t.Helper()
	_, missing := os.Lstat(before)
	moved := errors.Is(missing, os.ErrNotExist)
	if !late || err == nil {
		require.Equal(t, err == nil, moved)
	}
	if moved {
		requireLayer(t, after)
		return
	}
	requireLayer(t, before)
	require.NoDirExists(t, after)
}

// onlyNamed is a kernel without O_TMPFILE.
type onlyNamed struct{ *faulty }

func (onlyNamed) OpenUnnamed(int) (int, error) { return -1, unix.EOPNOTSUPP }

func TestFaultWhenTheRootIsOpened(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EIO, unix.ENOSPC, unix.EMFILE, unix.EACCES, unix.ENOSYS} {
		k := newFaulty(t, fault{method: "OpenRoot", errno: errno})
		k.arm(true)
		path := t.TempDir()
		_, err := tempdir.Open(path, kernel.With[tempdir.Option](k))
		requireRefusal(t, err, "open root", path, errno)
		require.Equal(t, errno == unix.ENOSYS, errors.Is(err, errors.ErrUnsupported))
		require.Empty(t, k.open)
	}
}
