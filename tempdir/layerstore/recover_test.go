//go:build linux

package layerstore_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

func init() {
	// staged STORE ID: takes a layer away, says so, and waits to be killed.
	proc.Register("staged", func(arguments []string) {
		s := must(layerstore.Open(arguments[0], layerstore.WithoutRecovery()))
		must(s.DeferredDelete(background, arguments[1]))
		fmt.Println("staged")
		io.Copy(io.Discard, os.Stdin)
	})
}

// staged starts a process that has taken the layer away, and waits to be killed.
func staged(t *testing.T, path, id string) *proc.Process {
	t.Helper()
	child := proc.Start(t, "staged", path, id)
	require.Equal(t, "staged", child.Says(t))
	return child
}

// A lockProbe is a hook that tries to take the store lock whenever something is
// removed, and counts how often somebody had it.
type lockProbe struct {
	path            string
	removed, locked int
}

func (p *lockProbe) calls() *calls {
	return &calls{before: func(_ int64, name string) error {
		switch name {
		case "Kernel.RemoveEntry", "Kernel.RemoveDirectory", "Kernel.RemoveData", "Kernel.List":
			p.removed++
			fd := must(unix.Open(filepath.Join(p.path, "store.lock"), unix.O_RDWR|unix.O_CLOEXEC, 0))
			defer unix.Close(fd)
			if unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 1}) == unix.EAGAIN {
				p.locked++
			}
		}
		return nil
	}}
}

// Nothing is removed, and no root listed, while the store lock is held: not by
// deletions, by additions that fail, or by recovery of any kind (F20, F27). The
// layout that does remove under the lock shows that this test would see it.
func TestNothingIsRemovedUnderTheLock(t *testing.T) {
	for _, c := range []struct {
		driver layerstore.Driver
		locked bool
	}{{layerstore.VFS, false}, {layerstore.Overlay, false}, {layerstore.Direct, true}} {
		t.Run(c.driver.Name(), func(t *testing.T) {
			path := filepath.Join(scratch(t), "store")
			p := &lockProbe{path: path}
			s := openStore(t, path, append(p.calls().options(), layerstore.WithDriver(c.driver))...)
			create(t, s, "a", someFiles(5, "a"))
			_, err := s.Create(background, layerstore.Layer{ID: "a"}, layerstore.Empty())
			require.ErrorIs(t, err, layerstore.ErrLayerExists)
			_, err = s.Create(background, layerstore.Layer{ID: "b"}, layerstore.Tar(strings.NewReader("garbage")))
			require.Error(t, err)
			_, err = s.Delete(background, "a")
			require.NoError(t, err)

			// What a killed process left: a flagged layer, and a stale instance.
			create(t, s, "c", someFiles(5, "c"))
			setFlag(t, path, "c")
			if c.driver.Deferred() {
				create(t, s, "d", someFiles(5, "d"))
				setFlag(t, path, "d")
				create(t, s, "e", someFiles(5, "e"))
				staged(t, path, "e").Kill()
			}
			report, err := s.Recover(background)
			require.NoError(t, err)
			assert.Empty(t, leftovers(path))
			if !c.locked {
				// That of e, and those of c and d, which others moved aside and released.
				assert.Equal(t, 3, report.Roots[filepath.Join(path, "tempdirs")].Count(tempdir.Recovered))
			}
			require.Greater(t, p.removed, 10)
			assert.Equal(t, c.locked, p.locked > 0, "%d of %d", p.locked, p.removed)
		})
	}
}

// setFlag flags a layer as a process does that dies right after.
func setFlag(t *testing.T, path, id string) {
	metadata := filepath.Join(path, "layers.json")
	text, err := os.ReadFile(metadata)
	require.NoError(t, err)
	old := `{"id":"` + id + `",`
	require.Contains(t, string(text), old)
	require.NoError(t, os.WriteFile(metadata, []byte(strings.Replace(string(text), old, old+`"incomplete":true,`, 1)), 0o600))
}

// A cancelled removal is a deletion all the same; recovery goes on with it (F30).
func TestCancelledRemovalIsFinishedByRecovery(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", someFiles(50, "a"))
	ctx, cancel := context.WithCancel(background)
	receipt, err := s.DeferredDelete(ctx, "a")
	require.NoError(t, err)
	cancel()
	_, err = receipt.Finish(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, layerstore.ErrLeftover)
	assert.Equal(t, layerstore.TookEffect, layerstore.EffectOf(err))
	assert.Empty(t, listIDs(t, s))
	require.NotEmpty(t, leftovers(path))
	_, err = s.Recover(background)
	require.NoError(t, err)
	assert.Empty(t, leftovers(path))

	create(t, s, "b", layerstore.Empty())
	_, err = s.Delete(ctx, "b")
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, layerstore.NoEffect, layerstore.EffectOf(err))
	assert.Equal(t, []string{"b"}, listIDs(t, s))
}

// Open does a part of what is left, on a file system where every removal takes as long
// as Open may: one for each of its workers, and none after. It fails nobody, and the
// next one goes on. ("upstream --policy" compares that with other policies.)
func TestOpenDoesAPartOfWhatIsLeft(t *testing.T) {
	s, path := newStore(t)
	const files = 200
	create(t, s, "a", someFiles(files, "a"))
	staged(t, path, "a").Kill()

	var removals atomic.Int64
	slow := &calls{before: func(_ int64, name string) error {
		if name == "Kernel.RemoveEntry" {
			removals.Add(1)
			time.Sleep(layerstore.OpenSlice)
		}
		return nil
	}}
	synctest.Test(t, func(t *testing.T) {
		for range 2 {
			removals.Store(0)
			other := openStore(t, path, slow.options()...)
			assert.Empty(t, listIDs(t, other))
			assert.Positive(t, removals.Load())
			assert.Less(t, removals.Load(), int64(files/4), "as many as there are workers")
			require.NotEmpty(t, leftovers(path))
		}
	})
	_, err := s.Recover(background)
	require.NoError(t, err)
	assert.Empty(t, leftovers(path))
}

// A process that runs long finishes what another one left when it was killed, even
// if the other was live at the first looks and nobody writes metadata (F21).
func TestMaintainFinishesWhatAKilledProcessLeft(t *testing.T) {
	s, path := newStore(t)
	create(t, s, "a", someFiles(20, "a"))
	child := staged(t, path, "a")
	before, err := os.Stat(filepath.Join(path, "layers.json"))
	require.NoError(t, err)

	_, worked, err := layerstore.Look(s)
	require.NoError(t, err)
	assert.False(t, worked, "the instance is live")
	assert.True(t, s.MaybeDirty(), "and may become stale")

	ctx, cancel := context.WithCancel(background)
	reports := make(chan layerstore.Report, 100)
	ended := make(chan error)
	go func() {
		ended <- s.Maintain(ctx, layerstore.Maintenance{Every: time.Millisecond, Report: func(r layerstore.Report, err error) {
			assert.NoError(t, err)
			reports <- r
		}})
	}()
	child.Kill()
	report := <-reports
	cancel()
	assert.ErrorIs(t, <-ended, context.Canceled)
	assert.Equal(t, 1, report.Roots[filepath.Join(path, "tempdirs")].Count(tempdir.Recovered))
	assert.Empty(t, leftovers(path))
	after, err := os.Stat(filepath.Join(path, "layers.json"))
	require.NoError(t, err)
	assert.Equal(t, before.ModTime(), after.ModTime(), "nobody wrote metadata")
}

// A layer that a killed process left flagged is noticed by the token.
func TestMaintainFinishesFlaggedLayers(t *testing.T) {
	s, path := newStore(t)
	for _, id := range []string{"bystander", "old"} {
		create(t, s, id, someFiles(3, id))
	}
	layerstore.Look(s)
	flagged := false
	dies := &calls{before: func(_ int64, name string) error {
		if flagged = flagged || name == "Kernel.StageDeletion"; flagged {
			return unix.ESRCH
		}
		return nil
	}}
	_, err := openStore(t, path, append(dies.options(), layerstore.WithoutRecovery())...).Delete(background, "old")
	require.Error(t, err)
	report, worked, err := layerstore.Look(s)
	require.NoError(t, err)
	assert.True(t, worked)
	assert.Equal(t, []string{"old"}, report.Finished)
	assert.Equal(t, []string{"bystander"}, listIDs(t, s))
}

// What could not be finished is tried again at the next look, though nobody saved
// in between.
func TestMaintainTriesAgain(t *testing.T) {
	refuse := refused{}
	s, path := newStore(t, refuse.options()...)
	create(t, s, "a", someFiles(3, "a"))
	setFlag(t, path, "a")
	refuse["Kernel.StageDeletion"], refuse["Kernel.RemoveEntry"] = unix.EIO, unix.EIO
	for range 2 {
		_, worked, err := layerstore.Look(s)
		require.ErrorIs(t, err, unix.EIO)
		assert.True(t, worked)
	}
	clear(refuse)
	report, _, err := layerstore.Look(s)
	require.NoError(t, err)
	assert.Equal(t, []string{"a"}, report.Finished)
	assert.Empty(t, leftovers(path))

	// Whatever the hints say, one look in many asks for everything.
	create(t, s, "b", someFiles(3, "b"))
	_, _, err = layerstore.Look(s)
	require.NoError(t, err)
	setFlag(t, path, "b") // without a new token
	report, _, err = layerstore.Look(s)
	require.NoError(t, err)
	assert.Empty(t, report.Finished)
	report, _, err = layerstore.LookAtAll(s)
	require.NoError(t, err)
	assert.Equal(t, []string{"b"}, report.Finished)
}

// olderStamps is a kernel on which everything was changed an hour earlier, so
// that its time stamps can be trusted at once.
type olderStamps struct{ kernel.Kernel }

func (k olderStamps) Stat(fd int) (kernel.Attributes, error) {
	a, err := k.Kernel.Stat(fd)
	a.Changed = a.Changed.Add(-time.Hour)
	return a, err
}

// A look at a store with nothing to do: two calls.
func TestALookCostsTwoCalls(t *testing.T) {
	var names []string
	refused := ""
	c := &calls{before: func(_ int64, name string) error {
		if names = append(names, name); name == refused {
			return unix.EIO
		}
		return nil
	}}
	older := kernel.With[layerstore.Option](kernel.Around(olderStamps{kernel.Linux()}, c))
	s, _ := newStore(t, append(c.options(), older)...)
	create(t, s, "a", layerstore.Empty())
	for range 2 {
		_, _, err := layerstore.Look(s)
		require.NoError(t, err)
	}
	names = nil
	_, worked, err := layerstore.Look(s)
	require.NoError(t, err)
	assert.False(t, worked)
	look := []string{"Disk.ReadToken", "Kernel.Stat"}
	assert.Equal(t, look, names)
	assert.False(t, s.MaybeDirty())
	for _, refused = range look { // what cannot be asked is no answer
		assert.True(t, s.MaybeDirty(), refused)
	}
	refused = ""
	assert.False(t, s.MaybeDirty())
	create(t, s, "b", layerstore.Empty())
	assert.True(t, s.MaybeDirty())
}

// An older version knows the layouts and the metadata, not the root: it collects
// what it does not know as garbage, and deletes in place, under the lock (F25).
func TestOlderVersion(t *testing.T) {
	for _, driver := range layouts {
		t.Run(driver.Name(), func(t *testing.T) {
			s, path := newStore(t, layerstore.WithDriver(driver))
			create(t, s, "a", someFiles(3, "a"))
			create(t, s, "b", someFiles(3, "b"))
			create(t, s, "c", someFiles(3, "c"))
			receipt, err := s.DeferredDelete(background, "a")
			require.NoError(t, err)

			// Its garbage collection, as upstream's before 1.59: every name among the
			// layers that is none is removed with all its instances.
			home := filepath.Join(path, driver.Directories()[0])
			entries, err := os.ReadDir(home)
			require.NoError(t, err)
			for _, entry := range entries {
				if name := entry.Name(); name != "b" && name != "c" && name != "l" {
					require.NoError(t, os.RemoveAll(filepath.Join(home, name)))
				}
			}
			_, err = receipt.Finish(background)
			require.NoError(t, err, "the instance was left alone")

			// It deletes b where it is, flagged, and is killed half-way. It writes
			// metadata without a token.
			setFlag(t, path, "b")
			where := filepath.Join(path, driver.Files(layerstore.Placed{ID: "b"}))
			require.NoError(t, os.RemoveAll(filepath.Join(where, "dir1")))
			assert.Equal(t, []string{"c"}, listIDs(t, s))

			// It leaves a layer without a record: reported, and not touched.
			stray := filepath.Join(home, "stray")
			require.NoError(t, os.Mkdir(stray, 0o755))
			report, err := openStore(t, path, layerstore.WithoutRecovery()).Recover(background)
			require.NoError(t, err)
			assert.Equal(t, []string{"b"}, report.Finished)
			assert.Equal(t, []string{stray}, report.Unrecorded)
			assert.DirExists(t, stray)
			_, err = s.Create(background, layerstore.Layer{ID: "stray"}, layerstore.Empty())
			assert.ErrorIs(t, err, layerstore.ErrUnrecorded)
			assert.DirExists(t, stray)
			assertWhole(t, s, "c", 3)
		})
	}
}

// The time between two looks is within a quarter of what the caller says, also
// where that means never.
func TestTimeBetweenLooks(t *testing.T) {
	for _, every := range []time.Duration{1, 2, time.Second, 1 << 55, 1 << 62, math.MaxInt64} {
		for range 100 {
			pause := layerstore.Jittered(every)
			require.GreaterOrEqual(t, pause, min(every, 1<<55)*3/4, "of %d", every)
			require.LessOrEqual(t, pause-every/4-1, every, "of %d", every)
		}
	}
}
