//go:build linux

package tempdir_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// reports are the reports of progress, in their order.
type reports struct {
	mu  sync.Mutex
	all []tempdir.Progress
}

func (r *reports) take(p tempdir.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, p)
}

// still is a clock by which no removal takes long enough for a report before its end.
var still = kernel.WithClock[tempdir.Option](func() time.Time { return time.Unix(1<<30, 0) })

// Who removes what, in every way that there is, hears of the same names and bytes that
// were there, and of the end once, when no lock is held.
func TestProgressHasEveryName(t *testing.T) {
	for name, op := range map[string]func(t *testing.T, root *tempdir.Root, layer string, bytes int64) (path string){
		"close": func(t *testing.T, root *tempdir.Root, layer string, _ int64) string {
			dir := must(root.Create())
			require.NoError(t, dir.StageDeletion(layer))
			require.NoError(t, dir.Close(background))
			return filepath.Join(root.Path(), "temp-dir-"+dir.ID())
		},
		"recover": func(t *testing.T, root *tempdir.Root, layer string, bytes int64) string {
			data := makeStale(t, root)
			require.NoError(t, os.Rename(layer, filepath.Join(data, "0-layer")))
			report := must(root.Recover(background))
			require.Equal(t, []tempdir.Result{{ID: someID, Outcome: tempdir.Recovered, Names: 10, Bytes: bytes}}, report.Results)
			return data
		},
	} {
		t.Run(name, func(t *testing.T) {
			var r reports
			var root *tempdir.Root
			root = openRoot(t, still, tempdir.CountBytes(), tempdir.OnProgress(func(p tempdir.Progress) {
				r.take(p)
				require.Empty(t, rootNames(t, root), "at the end nothing is left of the instance")
			}))
			layer := makeLayer(t, beside(root, "layer"))
			require.NoError(t, os.Link(filepath.Join(layer, "readme"), filepath.Join(layer, "again"))) // its bytes count once
			require.NoError(t, os.Remove(filepath.Join(layer, "link")))
			var bytes int64
			require.NoError(t, filepath.WalkDir(layer, func(path string, _ os.DirEntry, err error) error {
				var s unix.Stat_t
				require.NoError(t, unix.Lstat(path, &s))
				if filepath.Base(path) != "again" {
					bytes += s.Blocks * 512
				}
				return err
			}))
			path := op(t, root, layer, bytes)
			require.Equal(t, []tempdir.Progress{{Op: name, Path: path, Names: 10, Bytes: bytes, Done: true}}, r.all)
		})
	}
}

// Also of what takes no walk.
func TestProgressOfOneName(t *testing.T) {
	k := newTap()
	k.set(refuse("OpenDirectory", unix.EACCES))
	file, closed := filepath.Join(t.TempDir(), "file"), directory(t, t.TempDir(), "closed")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{file, closed} {
		var r reports
		require.NoError(t, tempdir.Remove(background, path, still, kernel.With[tempdir.Option](k), tempdir.OnProgress(r.take)))
		require.Equal(t, []tempdir.Progress{{Op: "remove", Path: path, Names: 1, Done: true}}, r.all)
	}
}

// Reports come when time has passed and names were removed, each with more of them.
func TestProgressComesNowAndThen(t *testing.T) {
	for step, reported := range map[time.Duration][]int64{
		100 * time.Millisecond: {64, 128, 192, 200, 200},
		99 * time.Millisecond:  {64, 192, 200}, // the crew has looked at the clock, too
		time.Millisecond:       {200},
	} {
		var r reports
		now := time.Unix(1<<30, 0)
		tick := kernel.WithClock[tempdir.Option](func() time.Time { now = now.Add(step); return now })
		top := pages(t, filepath.Join(testfs.InMemory(t), "top"), 199)
		require.NoError(t, tempdir.Remove(background, top, tick, tempdir.CountBytes(), tempdir.OnProgress(r.take)))
		var names []int64
		for i, p := range r.all {
			names = append(names, p.Names)
			require.Equal(t, tempdir.Progress{Op: "remove", Path: top, Names: p.Names, Bytes: min(p.Names, 199) * int64(os.Getpagesize()), Done: i == len(r.all)-1}, p)
		}
		assert.Equal(t, reported, names, step)
	}
}

// A report that panics, the first one or the last, harms nobody: what it was about is
// removed, no lock is held, and the caller has the panic. One that blocks keeps nobody
// else waiting.
func TestReportThatPanicsOrBlocks(t *testing.T) {
	now := time.Unix(1<<30, 0)
	tick := kernel.WithClock[tempdir.Option](func() time.Time { now = now.Add(time.Hour); return now })
	for done, calls := range map[bool]int{false: 1, true: 2} {
		made := 0
		root := openRoot(t, tick, tempdir.OnProgress(func(p tempdir.Progress) {
			if made++; p.Done == done {
				panic("here")
			}
		}))
		makeLayer(t, filepath.Join(makeStale(t, root), "0-layer"))
		require.PanicsWithValue(t, "here", func() { root.Recover(background) })
		require.Equal(t, calls, made)
		require.Empty(t, rootNames(t, root))

		dir := must(root.Create())
		require.NoError(t, dir.StageDeletion(makeLayer(t, beside(root, "layer"))))
		require.PanicsWithValue(t, "here", func() { dir.Close(background) })
		require.Empty(t, rootNames(t, root))
	}

	var others sync.WaitGroup
	root := openRoot(t, still, tempdir.Parallel(2), tempdir.OnProgress(func(p tempdir.Progress) {
		if filepath.Base(p.Path) == "temp-dir-"+idOf("0") {
			others.Wait()
		} else {
			others.Done()
		}
	}))
	s := &scene{root: root}
	for n := range 6 {
		s.leave(t, idOf(fmt.Sprint(n)))
	}
	others.Add(5)
	require.Equal(t, 6, must(root.Recover(background)).Count(tempdir.Recovered))
}
