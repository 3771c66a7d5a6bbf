//go:build linux

package tempdir_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
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
	assert.Equal(t, []tempdir.Result{{ID: id, Outcome: tempdir.Recovered, Names: 10}}, report.Results)
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

// leaveMany leaves stale instances of 10 names each and returns their ids, in order.
func leaveMany(t *testing.T, root *tempdir.Root, from, n int) (ids []string) {
	t.Helper()
	for i := range n {
		ids = append(ids, idOf(fmt.Sprintf("%02d", from+i)))
		(&scene{root: root}).leave(t, ids[i])
	}
	return ids
}

// A slice ends when so many names are removed, and says that more is left. The next one
// goes on with the next instance, so that none which is large keeps others waiting.
func TestSlicesOfNames(t *testing.T) {
	var told reports
	root := openRoot(t, still, tempdir.Slice(3, 0), tempdir.OnProgress(told.take))
	ids := leaveMany(t, root, 1, 3)
	live := must(root.Create())
	removed := map[string]int64{}
	for slice, more := 0, true; more; slice++ {
		report, err := root.Recover(background)
		require.NoError(t, err)
		more = report.More
		var names int64
		for _, result := range report.Results {
			names += result.Names
			removed[result.ID] += result.Names
		}
		require.True(t, names == 3 || names < 3 && !more, "%d in slice %d", names, slice)
		if slice == 2 { // one in each
			require.EqualValues(t, map[string]int64{ids[0]: 3, ids[1]: 3, ids[2]: 3}, withoutZeros(removed))
		}
	}
	require.EqualValues(t, map[string]int64{ids[0]: 10, ids[1]: 10, ids[2]: 10}, withoutZeros(removed))
	for _, p := range told.all {
		require.True(t, p.Done && p.Names <= 3 && strings.Contains(p.Path, "/temp-dir-"), "nothing of the live one: %v", p)
	}
	require.NoError(t, live.Close(background))
	require.Empty(t, rootNames(t, root))
}

// A slice of bytes ends with the name that fills it.
func TestSlicesOfBytes(t *testing.T) {
	const slice, file = 20_000, 8192
	root := openAt(t, filepath.Join(testfs.InMemory(t), "root"), still, tempdir.SliceBytes(slice))
	for _, id := range leaveMany(t, root, 1, 3) {
		for i := range 4 {
			path := filepath.Join(root.Path(), "temp-dir-"+id, fmt.Sprintf("9%d-file", i))
			require.NoError(t, os.WriteFile(path, make([]byte, file), 0o600))
		}
	}
	slices := 0
	for more := true; more; slices++ {
		report, err := root.Recover(background)
		require.NoError(t, err)
		more = report.More
		var bytes int64
		for _, result := range report.Results {
			bytes += result.Bytes
		}
		require.True(t, !more || bytes >= slice, "%d", bytes)
		require.Less(t, bytes, int64(slice+file))
	}
	require.Greater(t, slices, 3)
	require.Empty(t, rootNames(t, root))
}

func withoutZeros(counts map[string]int64) map[string]int64 {
	maps.DeleteFunc(counts, func(_ string, n int64) bool { return n == 0 })
	return counts
}

// What cannot be removed is a failure also where the slice ended first.
func TestSliceOfAFailure(t *testing.T) {
	failed := ""
	k := newTap()
	root := openRoot(t, tempdir.Slice(3, 0), kernel.With[tempdir.Option](k))
	ids := leaveMany(t, root, 1, 1)
	k.set(func(method, name string) error {
		if method == "RemoveEntry" && (failed == "" || failed == name) {
			failed = name
			return unix.EIO
		}
		return nil
	})
	report, err := root.Recover(background)
	require.ErrorIs(t, err, unix.EIO)
	require.Equal(t, tempdir.Result{ID: ids[0], Outcome: tempdir.Failed, Err: outcomeOf(t, report, ids[0]).Err, Names: 3}, outcomeOf(t, report, ids[0]))
	require.True(t, report.More)
}

// A slice of time ends in the middle of a tree, or between instances. A context that is
// done is still an error.
func TestSlicesOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTap()
		root := openRoot(t, tempdir.Slice(0, time.Minute), kernel.With[tempdir.Option](k))
		ids := leaveMany(t, root, 1, 2)
		k.set(func(method, _ string) error {
			if method == "RemoveEntry" { // of which there are 5 in each
				time.Sleep(15 * time.Second)
			}
			return nil
		})
		for _, want := range []tempdir.Result{
			{ID: ids[0], Outcome: tempdir.Unfinished, Names: 4},
			{ID: ids[1], Outcome: tempdir.Unfinished, Names: 4},
			{ID: ids[0], Outcome: tempdir.Recovered, Names: 6},
		} {
			report, err := root.Recover(background)
			require.NoError(t, err)
			got := outcomeOf(t, report, want.ID)
			require.Equal(t, want.Outcome, got.Outcome)
			require.Equal(t, !report.More, len(rootNames(t, root)) == 0)
		}
		ids = leaveMany(t, root, 1, 2)
		k.set(func(method, _ string) error {
			if method == "RemoveLock" {
				time.Sleep(time.Hour)
			}
			return nil
		})
		for n, id := range ids {
			report, err := root.Recover(background)
			require.NoError(t, err)
			require.Equal(t, []tempdir.Result{{ID: id, Outcome: tempdir.Recovered, Names: 10}}, report.Results)
			require.Equal(t, n == 0, report.More)
		}
		k.set(func(string, string) error { time.Sleep(time.Millisecond); return nil })
		ctx, cancel := context.WithTimeout(background, time.Second/100)
		defer cancel()
		ids = leaveMany(t, root, 1, 1)
		report, err := root.Recover(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, tempdir.Failed, outcomeOf(t, report, ids[0]).Outcome)
	})
}

// No timer of a slice is left when its call returns: it would begin a goroutine at its time.
func TestSliceLeavesNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		created := func() uint64 {
			sample := []metrics.Sample{{Name: "/sched/goroutines-created:goroutines"}}
			metrics.Read(sample)
			return sample[0].Value.Uint64()
		}
		const calls = 100
		root := openRoot(t, tempdir.Slice(0, time.Hour))
		for range calls {
			must(root.Recover(background))
		}
		before := created()
		time.Sleep(2 * time.Hour)
		require.Less(t, created()-before, uint64(calls)/2)
	})
}

// Several instances at the same time: no more than was said, each with its own error, and
// neither a failure nor a panic keeps the others from being recovered.
func TestRecoverInParallel(t *testing.T) {
	const most = 3
	var running, peak, met, goroutines atomic.Int32
	k := newTap()
	root := openRoot(t, tempdir.Parallel(most), tempdir.Eager(most-1), kernel.With[tempdir.Option](k))
	ids := leaveMany(t, root, 0, 12)
	for _, id := range ids[:2] {
		require.NoError(t, os.WriteFile(filepath.Join(root.Path(), "temp-dir-"+id, "stays"), nil, 0o600))
	}
	together := make(chan struct{})
	raise := func(peak *atomic.Int32, n int32) {
		for {
			if at := peak.Load(); n <= at || peak.CompareAndSwap(at, n) {
				return
			}
		}
	}
	before := runtime.NumGoroutine()
	k.set(func(method, name string) error {
		raise(&goroutines, int32(runtime.NumGoroutine()-before))
		switch {
		case method == "OpenLock":
			raise(&peak, running.Add(1))
			if met.Add(1) == most {
				close(together)
			}
			<-together
		case method == "RemoveLock", name == "stays":
			running.Add(-1)
		}
		return staying(method, name)
	})
	report, err := root.Recover(background)
	require.EqualValues(t, most, peak.Load())
	require.LessOrEqual(t, goroutines.Load(), int32(most-1), "they share the workers") // what ended before may have been counted
	require.Len(t, report.Results, len(ids))
	require.True(t, slices.IsSortedFunc(report.Results, func(a, b tempdir.Result) int { return strings.Compare(a.ID, b.ID) }))
	for i, id := range ids {
		result := outcomeOf(t, report, id)
		if i >= 2 {
			require.Equal(t, tempdir.Result{ID: id, Outcome: tempdir.Recovered, Names: 10}, result)
			continue
		}
		require.Equal(t, tempdir.Failed, result.Outcome)
		require.Contains(t, result.Err.Error(), id)
		require.NotContains(t, result.Err.Error(), ids[1-i])
		require.ErrorContains(t, err, id)
	}

	for n, c := range []struct {
		caller, helper func() // when they remove a name, and the other one has nothing left to do
		want           string
	}{
		{func() {}, func() { panic("here") }, "here"},
		{func() {}, runtime.Goexit, "a call ended its goroutine"},
		{func() { panic("here") }, func() {}, "here"},
	} {
		leaveMany(t, root, 12*(n+1), 12)
		synctest.Test(t, func(t *testing.T) {
			var begun atomic.Bool
			ended := false
			begins := make(chan struct{})
			k.set(func(method, _ string) error {
				switch {
				case method != "RemoveEntry":
				case strings.Contains(string(debug.Stack()), "didPanic"): // the caller's goroutine
					<-begins
					c.caller()
				case begun.CompareAndSwap(false, true):
					close(begins)
					synctest.Wait() // until the caller has nothing left to do
					ended = true
					c.helper()
				}
				return nil
			})
			var met any
			didPanic(func() { root.Recover(background) }, &met)
			require.Equal(t, c.want, fmt.Sprint(met))
			require.True(t, ended, "nobody is left")
		})
		require.Len(t, rootNames(t, root), 2*(n+1), "of the ones that met the end")
	}
}

// didPanic calls do, and says of what that panicked.
func didPanic(do func(), met *any) {
	defer func() { *met = recover() }()
	do()
}
