//go:build linux

package tempdir_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A clockwork answers every Stat of the root with a time of change of the test's choice, and
// counts calls.
type clockwork struct {
	changed atomic.Pointer[time.Time]
	calls   atomic.Int64
	root    atomic.Int64 // its descriptor
	err     error
	links   uint32
}

func (c *clockwork) Before(call *kernel.Call) error {
	c.calls.Add(1)
	if call.Method == kernel.Stat && int64(call.Fd) == c.root.Load() {
		return c.err
	}
	return nil
}

func (c *clockwork) After(call *kernel.Call) {
	if call.Method == kernel.OpenRoot {
		c.root.Store(int64(call.Result))
	}
	if changed := c.changed.Load(); changed != nil && call.Method == kernel.Stat && int64(call.Fd) == c.root.Load() {
		call.Attributes.Changed = *changed
		call.Attributes.Links = c.links
	}
}

func (c *clockwork) set(t time.Time) { c.changed.Store(&t) }

// look is one MaybeDirty, which has to be one call.
func (c *clockwork) look(t *testing.T, root *tempdir.Root) bool {
	t.Helper()
	before := c.calls.Load()
	dirty, err := root.MaybeDirty()
	require.NoError(t, err)
	require.Equal(t, before+1, c.calls.Load(), "calls")
	return dirty
}

func clockworkRoot(t *testing.T) (*tempdir.Root, *clockwork) {
	c := &clockwork{links: 2}
	return openRoot(t, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), c))), c
}

// An unchanged kernel has a root that changed long ago.
type unchanged struct{ kernel.Kernel }

func (unchanged) Stat(int) (kernel.Attributes, error) {
	return kernel.Attributes{Mode: fs.ModeDir, Links: 2, Changed: time.Unix(1e9, 0)}, nil
}

// A look that finds nothing costs one call: it keeps nothing, and allocates nothing.
func TestLookAtACleanRootAllocatesNothing(t *testing.T) {
	root := openRoot(t, kernel.With[tempdir.Option](unchanged{kernel.Linux()}))
	for dirty := true; dirty; {
		var err error
		_, err = root.Recover(background)
		require.NoError(t, err)
		dirty, err = root.MaybeDirty()
		require.NoError(t, err)
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = root.MaybeDirty() }))
}

// When a root is known to be clean: a look, an empty listing after it, and a look
// that sees the same time of change, all with a stamp that was old at the first.
func TestMaybeDirty(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	recoverEmpty := func(t *testing.T, root *tempdir.Root) {
		report, err := root.Recover(background)
		require.NoError(t, err)
		require.Empty(t, report.Results)
	}
	t.Run("clean", func(t *testing.T) {
		root, c := clockworkRoot(t)
		c.set(old)
		assert.True(t, c.look(t, root), "never listed")
		assert.True(t, c.look(t, root), "never listed")
		recoverEmpty(t, root)
		assert.False(t, c.look(t, root))
		assert.False(t, c.look(t, root))
		recoverEmpty(t, root)
		assert.False(t, c.look(t, root))
	})
	t.Run("listed before the look", func(t *testing.T) {
		root, c := clockworkRoot(t)
		c.set(old)
		recoverEmpty(t, root)
		assert.True(t, c.look(t, root), "it may have changed between")
	})
	t.Run("changed since", func(t *testing.T) {
		root, c := clockworkRoot(t)
		c.set(old)
		c.look(t, root)
		recoverEmpty(t, root)
		c.set(old.Add(1))
		assert.True(t, c.look(t, root))
		c.set(old.Add(-time.Hour)) // the clock was set back
		assert.True(t, c.look(t, root))
	})
	t.Run("changed between look and listing", func(t *testing.T) {
		root, c := clockworkRoot(t)
		c.set(old)
		c.look(t, root)
		c.set(old.Add(time.Minute))
		recoverEmpty(t, root)
		assert.True(t, c.look(t, root))
	})
	for name, stamp := range map[string]time.Duration{"young": -time.Second, "now": 0, "from the future": time.Hour} {
		t.Run("a stamp that is "+name, func(t *testing.T) {
			root, c := clockworkRoot(t)
			c.set(time.Now().Add(stamp))
			c.look(t, root)
			recoverEmpty(t, root)
			assert.True(t, c.look(t, root), "another change may have the same")
		})
	}
	t.Run("a young stamp forgets an old one", func(t *testing.T) {
		root, c := clockworkRoot(t)
		c.set(old)
		c.look(t, root)
		c.set(time.Now())
		c.look(t, root)
		recoverEmpty(t, root)
		c.set(old)
		assert.True(t, c.look(t, root))
	})
	t.Run("a live instance", func(t *testing.T) {
		root, c := clockworkRoot(t)
		dir, err := root.Create()
		require.NoError(t, err)
		c.set(old)
		for range 3 {
			assert.True(t, c.look(t, root), "its owner can die without a change of the root")
			report, err := root.Recover(background)
			require.NoError(t, err)
			require.Equal(t, 1, report.Count(tempdir.Skipped))
		}
		c.set(time.Now().Add(-time.Minute))
		require.NoError(t, dir.Close(background))
		c.look(t, root)
		recoverEmpty(t, root)
		assert.False(t, c.look(t, root))
	})
	t.Run("foreign names", func(t *testing.T) {
		root, c := clockworkRoot(t)
		require.NoError(t, os.WriteFile(filepath.Join(root.Path(), "foreign"), nil, 0o600))
		c.set(old)
		c.look(t, root)
		recoverEmpty(t, root)
		assert.False(t, c.look(t, root), "nothing to do about them")
	})
	t.Run("failures", func(t *testing.T) {
		root, c := clockworkRoot(t)
		c.set(old)
		c.look(t, root)
		recoverEmpty(t, root)
		c.err = unix.EIO
		dirty, err := root.MaybeDirty()
		assert.True(t, dirty)
		requireRefusal(t, err, "maybe dirty", root.Path(), unix.EIO)
		c.err, c.links = nil, 0
		dirty, err = root.MaybeDirty()
		assert.True(t, dirty)
		requireRefusal(t, err, "maybe dirty", root.Path(), tempdir.ErrRootGone)
		require.NoError(t, root.Close())
		dirty, err = root.MaybeDirty()
		assert.True(t, dirty)
		requireRefusal(t, err, "maybe dirty", root.Path(), tempdir.ErrClosed)
	})
}

// On the real clock: every instance that comes is seen, however fast.
func TestMaybeDirtySeesEveryInstance(t *testing.T) {
	inAnHour := kernel.WithClock[tempdir.Option](func() time.Time { return time.Now().Add(time.Hour) })
	rested := openRoot(t, inAnHour) // by then its stamp can be trusted
	require.True(t, must(rested.MaybeDirty()))
	must(rested.Recover(background))
	require.False(t, must(rested.MaybeDirty()))
	root, other := openAt(t, rested.Path()), openAt(t, rested.Path())
	for i := range 200 { // right after an empty listing, in the same tick or not
		must(root.MaybeDirty())
		must(root.Recover(background))
		dir := must(other.Create())
		require.True(t, must(root.MaybeDirty()), "instance %d", i)
		require.NoError(t, dir.Close(background))
	}
}

// Sync syncs the data directory, whatever the file system; and, where that does not order
// names, the directories that were left by what is no directory since the last time, or
// everything if they are elsewhere.
func TestSyncOfWhatIsStaged(t *testing.T) {
	for _, isOrdered := range []bool{true, false} {
		var synced []string
		var fails error
		k := kernel.Around(kernel.Linux(), kernel.HookFunc(func(c *kernel.Call) error {
			switch c.Method {
			case kernel.SyncAll:
				synced = append(synced, "all")
			case kernel.SyncData:
				path, err := os.Readlink(fmt.Sprint("/proc/self/fd/", c.Fd))
				require.NoError(t, err)
				synced = append(synced, filepath.Base(path))
				return fails
			}
			return nil
		}))
		root := openRoot(t, kernel.With[tempdir.Option](kernel.Around(k, after(func(c *kernel.Call) { c.Ordered = isOrdered }))))
		dir, err := root.Create()
		require.NoError(t, err)
		data := "temp-dir-" + dir.ID()
		stage := func(paths ...string) {
			for _, path := range paths {
				require.NoError(t, dir.StageDeletion(path))
			}
		}
		sync := func(unordered ...string) {
			t.Helper()
			synced = nil
			require.NoError(t, dir.Sync())
			if isOrdered {
				unordered = nil
			}
			require.Equal(t, append(unordered, data), synced)
		}
		a, b := makeLayer(t, beside(root, "a")), makeLayer(t, beside(root, "b"))
		stage(a+"/readme", a+"/link", a+"/usr", a+"/etc/passwd")
		require.Empty(t, synced)
		sync("a", "etc")
		sync()
		stage(b+"/readme", a)
		fails = unix.EIO
		requireRefusal(t, dir.Sync(), "sync", map[bool]string{true: filepath.Join(root.Path(), data), false: b}[isOrdered], unix.EIO)
		fails = unix.EINVAL // nothing to make durable on such a file system
		sync("b")
		fails = nil
		stage(b+"/link", b)
		sync("all")
		stage(makeLayer(t, b)+"/readme", b)
		makeLayer(t, b)
		sync("b", "all") // another one
		first, second := b, b+".second"
		makeLayer(t, second)
		swap := func() {
			require.NoError(t, unix.Renameat2(unix.AT_FDCWD, first, unix.AT_FDCWD, second, unix.RENAME_EXCHANGE))
		}
		stage(b + "/readme")
		swap()
		stage(b + "/readme")
		swap()
		sync("b", "b", "all") // the one that is there, and not the other at the same path
		require.NoError(t, dir.Close(background))
		requireRefusal(t, dir.Sync(), "sync", filepath.Join(root.Path(), data), tempdir.ErrClosed)
	}
}
