//go:build linux

package tempdir_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What a number of workers settles at, and what the trials cost: the slices of 1000 with
// another number.
func TestPace(t *testing.T) {
	linear := func(_, workers int) float64 { return float64(workers) }
	for name, c := range map[string]struct {
		most    int
		rate    func(slice, workers int) float64
		settles int
		trials  int
	}{
		"one core":                 {1, linear, 1, 0},
		"two cores, twice as fast": {2, linear, 2, 5},
		"as many as run":           {16, linear, 16, 8},
		"half as fast":             {16, func(_, workers int) float64 { return 1 / float64(workers) }, 1, 6},
		"the same":                 {2, func(_, workers int) float64 { return 1 }, 1, 6},
		"less than the gain":       {2, func(_, workers int) float64 { return []float64{0, 1, 1.14}[workers] }, 1, 6},
		"the gain":                 {2, func(_, workers int) float64 { return []float64{0, 1, 1.16}[workers] }, 2, 5},
		"up to four":               {16, func(_, workers int) float64 { return float64(min(workers, 4)) }, 4, 8},
		"half as fast after a while": {2, func(slice, workers int) float64 {
			return []float64{0, 1, 2, 0.5}[workers+min(1, slice/500*(workers-1))]
		}, 1, 501},
		"one slow slice now and then":     {2, func(slice, workers int) float64 { return []float64{0, 1, 2, 0, 0.4, 0.9}[workers+slice%50/49*3] }, 2, 5},
		"no faster than one now and then": {2, func(slice, workers int) float64 { return []float64{0, 1, 2, 0, 1, 1}[workers+slice%50/46*3] }, 2, 9},
		"four, and one is best after a while": {16, func(slice, workers int) float64 {
			return []float64{float64(min(workers, 4)), 1 / float64(workers)}[min(1, slice/500)]
		}, 1, 504},
		"twice as fast after a while":    {2, func(slice, workers int) float64 { return []float64{0, 1, 1, 2}[workers+min(1, slice/100*(workers-1))] }, 2, 296},
		"slower files, and quicker ones": {2, func(slice, workers int) float64 { return float64(workers) * []float64{1, 0.1, 10}[slice/20%3] }, 2, 7},
	} {
		t.Run(name, func(t *testing.T) {
			workers, hopeless := tempdir.Pace(c.most, 1000, c.rate)
			assert.Equal(t, 1, workers[0])
			trials := 0
			for _, n := range workers {
				assert.True(t, 1 <= n && n <= c.most, n)
				if n != c.settles {
					trials++
				}
			}
			assert.LessOrEqual(t, trials, c.trials, fmt.Sprint(workers[:100]))
			assert.Contains(t, workers[len(workers)-2:], c.settles)
			for _, slice := range hopeless {
				assert.Equal(t, workers[max(slice-1, 0)], workers[min(slice+1, 999)], "it fails like a whole slice would")
			}
			if name == "half as fast" {
				assert.Len(t, hopeless, trials)
			}
		})
	}
}

// A trial that is hopeless after a quarter of a slice ends then, and no other one before its time.
func TestSliceOfATrialThatIsHopeless(t *testing.T) {
	for two, took := range map[time.Duration]time.Duration{
		3 * time.Millisecond:    3 * time.Millisecond,
		2 * time.Millisecond:    4 * time.Millisecond,     // too early to tell after 2 ms
		1500 * time.Microsecond: 10500 * time.Microsecond, // a failure, but not by far
	} {
		got := tempdir.Slices(4, func(workers int) time.Duration { return []time.Duration{0, time.Millisecond, two}[workers] })
		assert.Equal(t, []time.Duration{time.Millisecond, took, 10 * time.Millisecond, 10 * time.Millisecond}, got, two)
	}
}

// grow makes a tree by chance, the same for the same numbers. Some names cannot be removed
// (stays), some directories are a chain that is deeper than a walk has descriptors.
func grow(t *testing.T, rng *rand.Rand, path string, depth int) {
	require.NoError(t, os.Mkdir(path, 0o755))
	for i := range rng.IntN(8) {
		name := fmt.Sprintf("file%d", i)
		if rng.IntN(40) == 0 {
			name = "stays"
		}
		require.NoError(t, os.WriteFile(filepath.Join(path, name), nil, 0o644))
	}
	if depth == 4 {
		if rng.IntN(8) == 0 {
			makeDeep(t, filepath.Join(path, "deep"), 40, "d")
		}
		return
	}
	for i := range rng.IntN(5) {
		grow(t, rng, filepath.Join(path, fmt.Sprintf("dir%d", i)), depth+1)
	}
	if rng.IntN(10) == 0 && os.Geteuid() != 0 {
		require.NoError(t, os.Chmod(path, 0o555))
	}
}

// pathsBelow are the paths below top, in order.
func pathsBelow(t *testing.T, top string) (paths []string) {
	require.NoError(t, filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		paths = append(paths, strings.TrimPrefix(path, top))
		return err
	}))
	return paths
}

// staying refuses to remove what is called so, wherever a goroutine does.
func staying(method, name string) error {
	if method == "RemoveEntry" && name == "stays" {
		return unix.EIO
	}
	return nil
}

// reasonsBelow are the reasons of a LeftoverError, in order.
func reasonsBelow(top string, err error) (reasons []string) {
	var left *tempdir.LeftoverError
	if errors.As(err, &left) {
		for _, reason := range left.Reasons {
			reasons = append(reasons, strings.ReplaceAll(reason.Error(), top, ""))
		}
		reasons = append(reasons, fmt.Sprint(left.Failed))
	}
	slices.Sort(reasons)
	return reasons
}

// Several workers leave what one leaves, count it, say why in the same words, and have no more
// descriptors open than a path of levels each.
func TestCrewLeavesWhatOneWorkerLeaves(t *testing.T) {
	for seed := range uint64(24) {
		base := testfs.InMemory(t)
		var left, reasons [2][]string
		for i, options := range [][]tempdir.Option{{tempdir.Workers(1)}, {tempdir.Eager(2 + int(seed%3))}} {
			top := filepath.Join(base, fmt.Sprint(i))
			grow(t, rand.New(rand.NewPCG(seed, 0)), top, 0)
			k := newTap()
			k.set(func(method, name string) error {
				runtime.Gosched() // walks meet in memory that they share by mistake
				return staying(method, name)
			})
			before, removed := len(pathsBelow(t, top)), new(reports)
			err := tempdir.Remove(background, top, append(options, kernel.With[tempdir.Option](k), tempdir.OnProgress(removed.take))...)
			left[i], reasons[i] = pathsBelow(t, top), reasonsBelow(top, err)
			require.EqualValues(t, before-len(left[i]), removed.all[len(removed.all)-1].Names)
			require.Equal(t, err == nil, len(left[i]) == 0)
			require.Empty(t, k.open)
			require.LessOrEqual(t, k.most, 35*(1+i*(2+int(seed%3))))
		}
		require.Equal(t, left[0], left[1], seed)
		if len(reasons[0]) <= tempdir.MaxLeftovers {
			require.Equal(t, reasons[0], reasons[1], seed)
		}
	}
}

// Who removes a large tree hires another worker after a slice of time, to see whether that
// is faster.
func TestCrewHires(t *testing.T) {
	top := filepath.Join(testfs.InMemory(t), "top")
	for i := range 24 {
		dir := directory(t, top, fmt.Sprint(i))
		for n := range 100 {
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), nil, 0o600))
		}
	}
	var looks, most atomic.Int64
	clock := kernel.WithClock[tempdir.Option](func() time.Time { return time.Unix(0, 0).Add(time.Duration(looks.Add(1)) * time.Second) })
	k, before := newTap(), int64(runtime.NumGoroutine())
	k.set(func(string, string) error {
		if n := int64(runtime.NumGoroutine()) - before; n > most.Load() {
			most.Store(n)
		}
		return nil
	})
	require.NoError(t, tempdir.Remove(background, top, kernel.With[tempdir.Option](k), clock, tempdir.Workers(2)))
	require.Positive(t, most.Load())
	require.LessOrEqual(t, most.Load(), int64(2), "one, and perhaps one that has not quite ended")
}

// A long removal gives others a turn by itself. Without, a system call that takes longer
// gives them one by chance: not in each of these.
func TestCrewYields(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 10 {
		top := directory(t, testfs.InMemory(t), "top")
		for n := range 700 {
			require.NoError(t, unix.Mknod(filepath.Join(top, fmt.Sprint(n)), unix.S_IFREG, 0))
		}
		var turns atomic.Int32
		go turns.Add(1)
		err := tempdir.Remove(background, top, tempdir.Workers(1))
		require.EqualValues(t, 1, turns.Load())
		require.NoError(t, err)
	}
}

// What a walk below others hoisted is listed again at the top, where nothing was removed.
func TestCrewHoists(t *testing.T) {
	top := filepath.Join(testfs.InMemory(t), "top")
	require.NoError(t, os.Mkdir(top, 0o700))
	makeDeep(t, filepath.Join(top, "deep"), 40, "d")
	for _, path := range []string{"stays", "deep/stays", "deep/d/d/d/stays"} {
		require.NoError(t, os.WriteFile(filepath.Join(top, path), nil, 0o644))
	}
	k := newTap()
	k.set(staying)
	require.Error(t, tempdir.Remove(background, top, kernel.With[tempdir.Option](k), tempdir.Eager(2)))
	require.Contains(t, k.take(), "Hoist")
	require.ElementsMatch(t, []string{"", "/stays", "/deep", "/deep/stays", "/deep/d", "/deep/d/d", "/deep/d/d/d", "/deep/d/d/d/stays"}, pathsBelow(t, top))
}

// What others move about in a tree meanwhile, and mounts in it: nothing outside is touched,
// and nil means gone.
func TestCrewBesideOthers(t *testing.T) {
	for seed := range uint64(6) {
		base := testfs.InMemory(t)
		top, outside := filepath.Join(base, "top"), makeLayer(t, filepath.Join(base, "outside"))
		rng := rand.New(rand.NewPCG(seed, 1))
		grow(t, rng, top, 0)
		mounted := mounting(t) && seed%2 == 0
		if mounted {
			testfs.Bind(t, outside, directory(t, top, "dir0", "mount"))
		}
		k := newTap()
		var calls atomic.Int32
		k.set(func(method, name string) error {
			switch calls.Add(1) % 7 {
			case 0: // out of the tree, and back into another place of it
				away := filepath.Join(base, fmt.Sprint("away", calls.Load()))
				if os.Rename(filepath.Join(top, "dir1"), away) == nil {
					os.Rename(away, filepath.Join(top, "dir2", "back"))
				}
			case 1:
				os.Symlink(outside, filepath.Join(top, "dir3", "link"))
			case 2:
				if os.Rename(filepath.Join(top, "dir2", "dir0"), filepath.Join(base, fmt.Sprint("out", calls.Load()))) == nil {
					os.Symlink(outside, filepath.Join(top, "dir2", "dir0"))
				}
			}
			return staying(method, name)
		})
		err := tempdir.Remove(background, top, kernel.With[tempdir.Option](k), tempdir.Eager(3))
		requireLayer(t, outside)
		require.Empty(t, k.open)
		if err == nil {
			require.NoFileExists(t, top)
		} else {
			require.ErrorIs(t, err, tempdir.ErrLeftover)
		}
		if mounted {
			require.ErrorIs(t, err, tempdir.ErrMountPoint)
		}
	}
}

// A context that is done, a panic, and the end of a goroutine, in whichever worker: the
// call ends like it, and leaves no goroutine and no descriptor.
func TestCrewIsStopped(t *testing.T) {
	for name, c := range map[string]struct {
		end   func(cancel func())
		ended any // what the caller recovers; nil: an error
	}{
		"context": {func(cancel func()) { cancel() }, nil},
		"panic":   {func(func()) { panic("here") }, "here"},
		"exit":    {func(func()) { runtime.Goexit() }, nil},
	} {
		idle := []tempdir.Option{tempdir.IdleIO(), tempdir.Rate(0, 0)} // the first worker is another goroutine, or the caller's
		for at := int32(1); at < 200; at += 13 {
			top := filepath.Join(testfs.InMemory(t), "top")
			grow(t, rand.New(rand.NewPCG(5, 3)), top, 0) // 231 calls
			ctx, cancel := context.WithCancel(background)
			k := newTap()
			var calls atomic.Int32
			k.set(func(method, _ string) error {
				if calls.Add(1) >= at && method != "Close" { // whoever calls
					c.end(cancel)
				}
				return nil
			})
			before := runtime.NumGoroutine()
			names, removed := len(pathsBelow(t, top)), new(reports)
			var err error
			var recovered any
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer func() { recovered = recover() }()
				err = tempdir.Remove(ctx, top, kernel.With[tempdir.Option](k), tempdir.Eager(3), tempdir.OnProgress(removed.take), idle[at%2])
			}()
			<-done
			switch {
			case name == "context" && err != nil:
				require.ErrorIs(t, err, context.Canceled, at)
				require.EqualValues(t, names-len(pathsBelow(t, top)), removed.all[len(removed.all)-1].Names)
			case recovered != nil && c.ended != nil:
				require.Equal(t, c.ended, recovered)
			}
			require.Empty(t, k.open, name, at)
			for runtime.NumGoroutine() > before {
				runtime.Gosched() // the one above, which has closed done
			}
			cancel()
			if err := tempdir.Remove(background, top); err != nil { // whatever is left
				require.ErrorIs(t, err, tempdir.ErrVictimGone, at)
			}
		}
	}
}

// Where descriptors run out because several workers have them, one goes on alone.
func TestCrewWithFewDescriptors(t *testing.T) {
	for most := 4; most < 12; most++ {
		top := filepath.Join(testfs.InMemory(t), "top")
		grow(t, rand.New(rand.NewPCG(7, 7)), top, 0)
		k := newTap()
		k.set(func(method, name string) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			if method == "OpenDirectory" && len(k.open) >= most {
				return unix.EMFILE
			}
			return nil
		})
		require.NoError(t, tempdir.Remove(background, top, kernel.With[tempdir.Option](k), tempdir.Eager(4)), most)
		require.NoFileExists(t, top)
		require.Empty(t, k.open)
	}
}

// heldNames counts what one walk has listed and not removed yet.
type heldNames struct{ held, most int }

func (h *heldNames) Before(*kernel.Call) error { return nil }

func (h *heldNames) After(c *kernel.Call) {
	switch {
	case c.Method == kernel.List:
		h.held += c.Appended
		h.most = max(h.most, h.held)
	case c.Err == nil && (c.Method == kernel.RemoveEntry || c.Method == kernel.RemoveDirectory):
		h.held--
	}
}

// An afterwards hears of every call that was made.
type afterwards func(c *kernel.Call)

func (afterwards) Before(*kernel.Call) error  { return nil }
func (after afterwards) After(c *kernel.Call) { after(c) }

// Files are removed in the order of their inodes, and directories after them, from the end
// of the listing.
func TestOrderOfRemoval(t *testing.T) {
	top := directory(t, testfs.InMemory(t), "top")
	sub := directory(t, top, "sub") // what is listed first is not gathered
	for n := range 20 {
		require.NoError(t, unix.Mknod(filepath.Join(sub, fmt.Sprint("f", n)), unix.S_IFREG, 0))
		require.NoError(t, os.Mkdir(filepath.Join(sub, fmt.Sprint("d", n)), 0o700))
	}
	random := rand.New(rand.NewPCG(1, 2))
	var files []kernel.Entry
	var dirs, removed, opened []string
	require.NoError(t, tempdir.Remove(background, top, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), afterwards(func(c *kernel.Call) {
		switch {
		case c.Method == kernel.List:
			for i := len(c.Entries) - c.Appended; i < len(c.Entries); i++ {
				switch e := &c.Entries[i]; {
				case e.Type != fs.ModeDir:
					e.Inode = random.Uint64()
					files = append(files, *e)
				case e.Name != "sub":
					dirs = append(dirs, e.Name)
				}
			}
		case c.Method == kernel.RemoveEntry && c.Err == nil:
			removed = append(removed, c.Name)
		case c.Method == kernel.OpenDirectory && strings.HasPrefix(c.Name, "d"):
			opened = append(opened, c.Name)
		}
	}))), tempdir.Eager(1)))
	slices.SortFunc(files, func(a, b kernel.Entry) int { return cmp.Compare(a.Inode, b.Inode) })
	slices.Reverse(dirs)
	var want []string
	for _, f := range files {
		want = append(want, f.Name)
	}
	assert.Len(t, want, 20)
	assert.Equal(t, want, removed)
	assert.Len(t, dirs, 20)
	assert.Equal(t, dirs, opened)
}

// Two walks go on beside each other.
func TestEverySecondDirectoryIsLent(t *testing.T) {
	for names, want := range map[string][2]string{"a": {"a", ""}, "a b": {"b", "a"}, "a b c d e": {"e c a", "d b"}} {
		lent, left := tempdir.Lend(strings.Fields(names)...)
		assert.Equal(t, want, [2]string{strings.Join(lent, " "), strings.Join(left, " ")})
	}
}

// Large directories one in another are not all listed at once: each has one batch, whose
// size is that of what the kernel fills.
func TestListedNamesAreBoundedInDepth(t *testing.T) {
	const levels, siblings, batch = 5, 6000, 700
	top := directory(t, testfs.InMemory(t), "top")
	for dir, level := top, 0; level < levels; level++ {
		inner := ""
		for n := range siblings {
			require.NoError(t, os.Mkdir(filepath.Join(dir, fmt.Sprint(n)), 0o700))
			if n == siblings/2 { // so that half of them are left, in whatever order
				inner = directory(t, dir, "inner")
			}
		}
		dir = inner
	}
	h := new(heldNames)
	require.NoError(t, tempdir.Remove(background, top, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), h)), tempdir.Eager(1)))
	assert.Less(t, h.most, 8192+(levels+1)*batch)
	assert.Greater(t, h.most, siblings, "they are gathered")
}
