//go:build linux

package tempdir_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An answer is what the kernel says, or somebody does, within one operation, where
// what comes of it is in no general table.
type answer struct {
	name    string
	options []tempdir.Option
	refuse  func(s *scene, c *kernel.Call) error // before a call
	after   func(s *scene, c *kernel.Call)
	do      func(t *testing.T, s *scene, k *refusing)
}

// on refuses the method's calls about names with the prefix.
func on(method kernel.Method, prefix string, errno error) func(*scene, *kernel.Call) error {
	return func(_ *scene, c *kernel.Call) error {
		if c.Method == method && strings.HasPrefix(c.Name, prefix) {
			return errno
		}
		return nil
	}
}

// acting calls act before the method's first call.
func acting(method kernel.Method, act func(s *scene)) func(*scene, *kernel.Call) error {
	done := false
	return func(s *scene, c *kernel.Call) error {
		if c.Method == method && !done {
			done = true
			act(s)
		}
		return nil
	}
}

// all refuses what any of these does.
func all(refusals ...func(*scene, *kernel.Call) error) func(*scene, *kernel.Call) error {
	return func(s *scene, c *kernel.Call) (err error) {
		for _, refuse := range refusals {
			if err == nil {
				err = refuse(s, c)
			}
		}
		return err
	}
}

// recovered wants the outcome and the error of the one stale instance.
func recovered(want tempdir.Outcome, reason error) func(*testing.T, *scene, *refusing) {
	return func(t *testing.T, s *scene, _ *refusing) {
		report, err := s.root.Recover(background)
		require.ErrorIs(t, err, reason)
		result := outcomeOf(t, report, staleID)
		require.Equal(t, tempdir.Result{ID: staleID, Outcome: want, Err: result.Err, Names: result.Names}, result)
	}
}

// tried wants TryLock to fail for the reason and to leave nothing open, whoever may
// have a lock.
func tried(reason error) func(*testing.T, *scene, *refusing) {
	return func(t *testing.T, s *scene, _ *refusing) {
		before := descriptorsBelow(t, filepath.Dir(s.root.Path()))
		_, err := s.root.TryLock("lock-" + staleID)
		require.ErrorIs(t, err, reason)
		require.Equal(t, before, descriptorsBelow(t, filepath.Dir(s.root.Path())))
	}
}

// measured wants that of Usage of the live instance.
func measured(files int64, partial bool) func(*testing.T, *scene, *refusing) {
	return func(t *testing.T, s *scene, _ *refusing) {
		usage, err := s.root.Usage(background, s.live.ID())
		require.NoError(t, err)
		require.Equal(t, tempdir.Usage{Files: files, Bytes: usage.Bytes, Partial: partial}, usage)
		require.GreaterOrEqual(t, usage.Bytes, int64(1<<20), "of the directory itself")
	}
}

// removedInPlace wants the error of Remove, which tries once.
func removedInPlace(reason error, options ...tempdir.Option) func(*testing.T, *scene, *refusing) {
	return func(t *testing.T, s *scene, k *refusing) {
		file := filepath.Join(s.victim, "readme")
		err := tempdir.Remove(background, file, append(options, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k)))...)
		require.ErrorIs(t, err, reason)
		require.Equal(t, 1, k.refused)
	}
}

// below is so many levels of directories.
func below(levels int) string { return strings.Repeat("d/", levels) }

func seen(change func(a *kernel.Attributes)) func(*scene, *kernel.Call) {
	return func(_ *scene, c *kernel.Call) {
		if c.Method == kernel.StatName {
			change(&c.Attributes)
		}
	}
}

var (
	mixed    = []tempdir.Option{tempdir.MixedFleet(0, 0)}
	graceful = []tempdir.Option{tempdir.OrphanGrace(long)}
	large    = seen(func(a *kernel.Attributes) { a.Bytes = 1 << 20 })
	data     = "temp-dir-"
)

var answers = []answer{
	{"a stranger unlinks the lock file of a removal", nil, acting(kernel.RemoveData, func(s *scene) { os.Remove(s.lock(staleID)) }), nil, recovered(tempdir.Recovered, nil)},
	{"an orphan goes before it is looked at", graceful, acting(kernel.StatName, func(s *scene) { os.RemoveAll(s.data(staleID)) }), nil, func(t *testing.T, s *scene, k *refusing) {
		require.NoError(t, os.Remove(s.lock(staleID)))
		recovered(tempdir.Vanished, nil)(t, s, k)
	}},
	{"an orphan cannot be looked at", graceful, on(kernel.StatName, data, unix.EIO), nil, func(t *testing.T, s *scene, k *refusing) {
		require.NoError(t, os.Remove(s.lock(staleID)))
		recovered(tempdir.Failed, unix.EIO)(t, s, k)
		require.NoFileExists(t, s.lock(staleID))
	}},
	{"a level cannot be opened again", nil, func(s *scene, c *kernel.Call) error {
		switch {
		case c.Method == kernel.RemoveDirectory:
			return unix.ENOTEMPTY
		case c.Method == kernel.OpenDirectory && c.Name == "etc" && s.noted["etc"]:
			return unix.EIO
		}
		s.noted["etc"] = s.noted["etc"] || c.Name == "etc"
		return nil
	}, nil, recovered(tempdir.Failed, unix.EIO)},
	{"a lock cannot be rechecked, and its holders cannot be told", mixed, all(on(kernel.StatName, "lock-", unix.EIO), on(kernel.LockHolder, "", unix.EIO)), nil, tried(unix.EIO)},
	{"a lock is a ghost, and its holders cannot be told", mixed, all(on(kernel.LockHolder, "", unix.EIO), acting(kernel.TakeLock, func(s *scene) {
		os.Rename(s.lock(staleID), s.lock(staleID)+"-moved")
	})), nil, tried(unix.ENOENT)},
	{"somebody has the lock that this process may not take", nil, all(on(kernel.OpenUnnamed, "", unix.EOPNOTSUPP), on(kernel.TakeLock, "", unix.ENOLCK)), func(_ *scene, c *kernel.Call) {
		c.Holder.Held = c.Method == kernel.LockHolder
	}, func(t *testing.T, s *scene, _ *refusing) {
		names := rootNames(t, s.root)
		_, err := s.root.Create()
		require.ErrorIs(t, err, unix.ENOLCK)
		require.Len(t, rootNames(t, s.root), len(names)+1, "it is the holder's")
	}},
	{"a stranger's file has the name of a lock file that this process may not lock", nil, all(acting(kernel.LockHolder, func(s *scene) {
		for _, lock := range must(filepath.Glob(s.lock("*"))) {
			if lock != s.lock(s.live.ID()) && lock != s.lock(staleID) {
				must(0, os.Remove(lock))
				must(0, os.WriteFile(lock, []byte("another's"), 0o600))
			}
		}
	}), on(kernel.OpenUnnamed, "", unix.EOPNOTSUPP), on(kernel.TakeLock, "", unix.ENOLCK)), nil, func(t *testing.T, s *scene, _ *refusing) {
		names := rootNames(t, s.root)
		_, err := s.root.Create()
		require.ErrorIs(t, err, unix.ENOLCK)
		require.Len(t, rootNames(t, s.root), len(names)+1, "it is the stranger's")
	}},
	{"what may not be removed is made removable once", nil, func(s *scene, c *kernel.Call) error {
		err := on(kernel.RemoveEntry, "passwd", unix.EACCES)(s, c)
		if err != nil {
			s.noted["thrice"], s.noted["twice"], s.noted["once"] = s.noted["twice"], s.noted["once"], true
		}
		return err
	}, nil, func(t *testing.T, s *scene, k *refusing) {
		recovered(tempdir.Failed, unix.EACCES)(t, s, k)
		require.Equal(t, map[string]bool{"once": true, "twice": true, "thrice": false}, s.noted)
	}},
	{"no lock is to be had, which says nothing about files without a name", nil, all(on(kernel.TakeLock, "", unix.EPERM), on(kernel.CreateLock, "", unix.EIO)), nil, func(t *testing.T, s *scene, _ *refusing) {
		_, err := s.root.Create()
		require.ErrorIs(t, err, unix.EPERM)
	}},
	{"a root that cannot be listed", nil, on(kernel.List, "", unix.EIO), nil, func(t *testing.T, s *scene, _ *refusing) {
		report, err := s.root.Recover(background)
		require.ErrorIs(t, err, unix.EIO)
		require.Empty(t, report)
	}},
	{"a canceled listing", nil, on(kernel.OpenToInspect, "", unix.EIO), nil, func(t *testing.T, s *scene, k *refusing) {
		ctx, cancel := context.WithCancel(background)
		cancel()
		instances, err := s.root.Instances(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.Empty(t, instances)
	}},
	{"usage", nil, nil, large, measured(10, false)},
	{"usage of what cannot be looked at", nil, on(kernel.StatName, "passwd", unix.EIO), large, measured(10, true)},
	{"usage of what goes", nil, on(kernel.StatName, "passwd", unix.ENOENT), large, measured(10, false)},
	{"usage of what cannot be opened", nil, on(kernel.OpenDirectory, data, unix.EACCES), large, measured(0, true)},
	{"usage of what went", nil, on(kernel.OpenDirectory, data, unix.ENOENT), large, measured(0, false)},
	{"usage of what cannot be listed", nil, on(kernel.List, "", unix.EIO), large, measured(0, true)},
	{"a canceled usage", nil, nil, nil, func(t *testing.T, s *scene, _ *refusing) {
		ctx, cancel := context.WithCancel(background)
		cancel()
		_, err := s.root.Usage(ctx, s.live.ID())
		require.ErrorIs(t, err, context.Canceled)
	}},
	{"usage of no id", nil, nil, nil, func(t *testing.T, s *scene, _ *refusing) {
		require.NoError(t, os.MkdirAll(filepath.Join(s.data("foreign"), "entry"), 0o700))
		usage, err := s.root.Usage(background, "foreign")
		require.ErrorIs(t, err, tempdir.ErrForeign)
		require.Zero(t, usage)
	}},
	{"a type that is not listed cannot be looked at, once", nil, func(s *scene, c *kernel.Call) error {
		if c.Method == kernel.StatName && c.Name == "lock-"+staleID && !s.noted["asked"] {
			s.noted["asked"] = true
			return unix.EIO
		}
		return nil
	}, func(_ *scene, c *kernel.Call) {
		for i := range c.Entries {
			c.Entries[i].Type = fs.ModeIrregular
		}
	}, recovered(tempdir.Failed, unix.EIO)},
	{"a file at the top cannot be removed at first, when directories were hoisted", nil, func(s *scene, c *kernel.Call) error {
		if c.Method == kernel.RemoveEntry && c.Name == "first" && !s.noted["first"] {
			s.noted["first"] = true
			return unix.EIO
		}
		return nil
	}, nil, func(t *testing.T, s *scene, k *refusing) {
		require.NoError(t, os.MkdirAll(filepath.Join(s.data(staleID), "deep", below(40)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(s.data(staleID), "first"), nil, 0o600))
		recovered(tempdir.Recovered, nil)(t, s, k)
		require.NoDirExists(t, s.data(staleID))
	}},
	{"what was hoisted is not listed at once, and something else stays", nil, on(kernel.RemoveEntry, "stays", unix.EIO), func(s *scene, c *kernel.Call) {
		switch listed := fmt.Sprint(c.Fd); c.Method {
		case kernel.OpenDirectory:
			delete(s.noted, fmt.Sprint(c.Result))
		case kernel.List:
			if s.noted[listed] {
				c.Entries = c.Entries[:len(c.Entries)-c.Appended]
			}
			s.noted[listed] = true
		}
	}, func(t *testing.T, s *scene, k *refusing) {
		deep := filepath.Join(s.data(staleID), "deep")
		require.NoError(t, os.RemoveAll(filepath.Join(s.data(staleID), "0-layer")))
		require.NoError(t, os.MkdirAll(filepath.Join(deep, below(40)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(deep, "stays"), nil, 0o600))
		recovered(tempdir.Failed, unix.EIO)(t, s, k)
		left, err := filepath.Glob(s.data(staleID) + "/*")
		require.NoError(t, err)
		require.Equal(t, []string{deep}, left, "what was hoisted is gone")
	}},
	{"a flag that nobody asked to clear", nil, on(kernel.RemoveEntry, "", unix.EPERM), seen(func(a *kernel.Attributes) { a.Immutable = true }), removedInPlace(tempdir.ErrImmutable)},
	{"a file called like a lock file that its owner cannot open", nil, on(kernel.OpenToInspect, "", unix.EACCES), nil, func(t *testing.T, s *scene, k *refusing) {
		path := filepath.Join(s.outside, "lock-"+badID)
		require.NoError(t, os.WriteFile(path, nil, 0))
		require.NoError(t, tempdir.Remove(background, path, kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), k))))
		require.NoFileExists(t, path)
	}},
	{"a dead mount", nil, func(s *scene, c *kernel.Call) error {
		if c.Method == kernel.StatName && c.Name == "readme" && !s.noted["detached"] {
			return unix.EIO
		}
		return nil
	}, func(s *scene, c *kernel.Call) {
		if c.Method == kernel.Detach && !s.noted["detached"] {
			s.noted["detached"], c.Err = true, nil
		}
	}, removedInPlace(nil, tempdir.DetachMounts())},
	{"a mount point is in the way", nil, on(kernel.RemoveEntry, "", unix.EBUSY), seen(func(a *kernel.Attributes) { a.MountRoot = true }), removedInPlace(tempdir.ErrMountPoint)},
	{"whether it is a mount point is not told", nil, on(kernel.RemoveEntry, "", unix.EBUSY), seen(func(a *kernel.Attributes) { a.MountUnknown = true }), removedInPlace(tempdir.ErrMountPoint)},
}

// What an operation makes of each of these answers.
func TestAnswers(t *testing.T) {
	for _, a := range answers {
		t.Run(a.name, func(t *testing.T) {
			var s *scene
			k := &refusing{method: kernel.RemoveEntry}
			armed := false
			k.refuse = func(c *kernel.Call) error {
				if armed && c.Method == k.method {
					k.refused++
				}
				if armed && a.refuse != nil {
					return a.refuse(s, c)
				}
				return nil
			}
			k.after = func(c *kernel.Call) {
				if armed && a.after != nil {
					a.after(s, c)
				}
			}
			s = newSceneAt(t, testfs.InMemory(t), append(a.options, kernel.With[tempdir.Option](patient(t, k)))...)
			s.noted = map[string]bool{}
			armed = true
			a.do(t, s, k)
			armed = false
			s.liveUnharmed(t)
			require.NoError(t, s.live.Close(background))
			require.NoError(t, s.root.Close())
			require.Empty(t, descriptorsBelow(t, filepath.Dir(s.root.Path())))
		})
	}
}
