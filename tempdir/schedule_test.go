//go:build linux

package tempdir_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// once returns a before function that runs act before the first call of method, and
// asks then, if there is one.
func once(method string, act func(name string), then func(method, name string) error) func(method, name string) error {
	done := false
	return func(m, name string) error {
		if m == method && !done {
			done = true
			act(name)
		}
		if then != nil {
			return then(m, name)
		}
		return nil
	}
}

// The race of podman issue 29641, at each place where the owner can be
// overtaken on the fallback path. P is the owner, Q a recoverer.
//
//	P.1 CreateLock   lock-1 is inode a, not locked yet
//	Q.1 …            opens a, locks it, finds no data, unlinks lock-1
//	P.2 TakeLock     of a: succeeds, and a has no name
//	P.3 StatName     the recheck: P gives a up and takes another id
//
// Without P.3, P would work in temp-dir-1 while Q's next pass takes it for an
// orphan.
func TestRecovererOvertakesAnOwnerOnTheFallbackPath(t *testing.T) {
	for _, method := range []string{"TakeLock", "Stat", "StatName", "WriteOwner", "MakeData"} {
		t.Run("before "+method, func(t *testing.T) {
			k := newTap()
			owner := openRoot(t, kernel.With[tempdir.Option](k))
			recoverer := openAt(t, owner.Path())
			var report tempdir.Report
			k.set(once(method, func(string) {
				var err error
				report, err = recoverer.Recover(background)
				require.NoError(t, err)
			}, withoutUnnamed))

			dir, err := owner.Create()
			require.NoError(t, err)
			layer := makeLayer(t, beside(owner, "layer"))
			require.NoError(t, dir.StageDeletion(layer))
			if method == "TakeLock" {
				assert.Equal(t, 1, report.Count(tempdir.Recovered), "the lock file that was not locked yet")
			} else {
				assert.Equal(t, 1, report.Count(tempdir.Skipped), "it was locked already")
			}

			again, err := recoverer.Recover(background)
			require.NoError(t, err)
			assert.Equal(t, 1, again.Count(tempdir.Skipped), "the instance that lives")
			requireLayer(t, filepath.Join(owner.Path(), "temp-dir-"+dir.ID(), "0-layer"))
			require.NoError(t, dir.Close(background))
			assert.Empty(t, rootNames(t, owner))
		})
	}
}

// The owner wants its lock while a recoverer holds it: it takes another id, and
// nothing is left of the first.
//
//	P.1 CreateLock   lock-1
//	Q.1 …            opens lock-1, locks it, rechecks it, stops before RemoveLock
//	P.2 TakeLock     EAGAIN: P makes an instance with another id
//	Q.2 RemoveLock   lock-1
func TestOwnerMeetsALockHeldByARecoverer(t *testing.T) {
	ownerKernel, recovererKernel := newTap(), newTap()
	owner := openRoot(t, kernel.With[tempdir.Option](ownerKernel))
	recoverer := openAt(t, owner.Path(), kernel.With[tempdir.Option](recovererKernel))
	holding, finish, finished := make(chan bool), make(chan bool), make(chan bool)
	recovererKernel.set(once("RemoveLock", func(string) {
		holding <- true
		<-finish
	}, nil))
	ownerKernel.set(once("TakeLock", func(string) {
		go func() {
			defer close(finished)
			report, err := recoverer.Recover(background)
			assert.NoError(t, err)
			assert.Equal(t, 1, report.Count(tempdir.Recovered))
		}()
		<-holding
	}, withoutUnnamed))

	dir, err := owner.Create()
	require.NoError(t, err)
	assert.Len(t, rootNames(t, owner), 3, "lock-1 and the instance")
	require.NoError(t, dir.StageDeletion(makeLayer(t, beside(owner, "layer"))))
	close(finish)
	<-finished
	requireLayer(t, filepath.Join(owner.Path(), "temp-dir-"+dir.ID(), "0-layer"))
	require.NoError(t, dir.Close(background))
	assert.Empty(t, rootNames(t, owner))
}

// Two recoverers and one stale instance (interleaving C). Q1 has opened the lock
// file when Q2 removes the whole instance; Q1 then locks a file without a name,
// and must touch nothing.
func TestRecovererWithAGhostLockTouchesNothing(t *testing.T) {
	k := newTap()
	first := openRoot(t, kernel.With[tempdir.Option](k))
	second := openAt(t, first.Path())
	makeStale(t, first)
	var replanted string
	k.set(once("TakeLock", func(string) {
		report, err := second.Recover(background)
		require.NoError(t, err)
		require.Equal(t, 1, report.Count(tempdir.Recovered))
		// Data that the ghost would destroy, under the same names.
		makeStale(t, first)
		replanted = makeLayer(t, filepath.Join(first.Path(), "temp-dir-"+someID, "0-layer"))
	}, nil))
	report, err := first.Recover(background)
	require.NoError(t, err)
	assert.Equal(t, 1, report.Count(tempdir.Vanished))
	requireLayer(t, replanted)
	assert.FileExists(t, filepath.Join(first.Path(), "lock-"+someID))
}

// A listing is not atomic: it may show the data of an instance that was created
// while it ran, and not its lock file. Adoption finds the lock file (rule 3).
func TestListingThatMissesALockFileHarmsNothing(t *testing.T) {
	for name, then := range map[string]func(method, name string) error{"publish locked": nil, "fallback": withoutUnnamed} {
		t.Run(name, func(t *testing.T) {
			k := newTap()
			recoverer := openRoot(t, kernel.With[tempdir.Option](k))
			owner := openAt(t, recoverer.Path())
			dir, err := owner.Create()
			require.NoError(t, err)
			require.NoError(t, dir.StageDeletion(makeLayer(t, beside(owner, "layer"))))
			k.set(then)
			torn := openAt(t, recoverer.Path(), kernel.With[tempdir.Option](kernel.Around(k, after(func(c *kernel.Call) {
				c.Entries = slices.DeleteFunc(c.Entries, func(e kernel.Entry) bool { return strings.HasPrefix(e.Name, "lock-") })
			}))))
			report, err := torn.Recover(background)
			require.NoError(t, err)
			assert.Equal(t, 1, report.Count(tempdir.Skipped))
			requireLayer(t, filepath.Join(owner.Path(), "temp-dir-"+dir.ID(), "0-layer"))
			require.NoError(t, dir.Close(background))
			assert.Empty(t, rootNames(t, owner))
		})
	}
}

// Two recoverers adopt one orphan: one links first, the other goes away.
func TestTwoRecoverersAdoptOneOrphan(t *testing.T) {
	for name, c := range map[string]struct {
		before string
		then   func(method, name string) error
	}{
		"publish locked":                  {"LinkLock", nil},
		"fallback, before the lock file":  {"CreateLock", withoutUnnamed},
		"fallback, before it is locked":   {"TakeLock", withoutUnnamed},
		"fallback, before it is verified": {"StatName", withoutUnnamed},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTap()
			first := openRoot(t, kernel.With[tempdir.Option](k))
			second := openAt(t, first.Path())
			makeLayer(t, filepath.Join(makeOrphan(t, first), "0-layer"))
			var other tempdir.Report
			k.set(once(c.before, func(string) {
				var err error
				other, err = second.Recover(background)
				require.NoError(t, err)
			}, c.then))
			report, err := first.Recover(background)
			require.NoError(t, err)
			require.Len(t, report.Results, 1)
			require.Len(t, other.Results, 1)
			recovered := report.Count(tempdir.Recovered) + other.Count(tempdir.Recovered)
			assert.GreaterOrEqual(t, recovered, 1, "%v %v", report, other)
			assert.Empty(t, rootNames(t, first))
		})
	}
}

// The owner closes while a recoverer is about to adopt what it saw of it.
func TestAdoptionOfAnInstanceThatIsGoneByNow(t *testing.T) {
	k := newTap()
	recoverer := openRoot(t, kernel.With[tempdir.Option](k))
	data := makeOrphan(t, recoverer)
	k.set(once("LinkLock", func(string) { require.NoError(t, os.Remove(data)) }, nil))
	_, err := recoverer.Recover(background)
	require.NoError(t, err)
	assert.Empty(t, rootNames(t, recoverer))
}
