package speed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// each calls measure with every place and a directory of it that is new. What it returns
// is an error of that place alone.
func (b *bench) each(ctx context.Context, table string, measure func(p *place, dir string, row func(Row)) error) error {
	for _, p := range b.places {
		dir := filepath.Join(p.dir, table)
		err := os.Mkdir(dir, 0o755)
		if err == nil {
			err = measure(p, dir, func(r Row) {
				r.Table, r.FileSystem = table, p.name
				b.report.Rows = append(b.report.Rows, r)
				b.Progress(fmt.Sprintf("%s: %s, %s, %d", table, p.name, r.What, r.N))
			})
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			b.skip("%s on %s: %v", table, p.name, err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// tens calls f with 10, 100, and so on up to most.
func tens(most int, f func(n int) error) error {
	for n := 10; n <= most; n *= 10 {
		if err := f(n); err != nil {
			return err
		}
	}
	return nil
}

// A holdDisk measures how long a store's lock is held for writing, and counts fsyncs.
type holdDisk struct {
	kernel.Disk
	mu    sync.Mutex
	taken map[int]time.Time
	held  time.Duration
	syncs int
}

func (d *holdDisk) took(fd int, r kernel.ByteRange, err error) error {
	if err == nil && r.Exclusive && r.Offset == 0 {
		d.mu.Lock()
		d.taken[fd] = time.Now()
		d.mu.Unlock()
	}
	return err
}

func (d *holdDisk) TakeLock(fd int, r kernel.ByteRange) error {
	return d.took(fd, r, d.Disk.TakeLock(fd, r))
}

func (d *holdDisk) AwaitLock(fd int, r kernel.ByteRange) error {
	return d.took(fd, r, d.Disk.AwaitLock(fd, r))
}

func (d *holdDisk) Close(fd int) error {
	d.mu.Lock()
	if since, is := d.taken[fd]; is {
		d.held += time.Since(since)
		delete(d.taken, fd)
	}
	d.mu.Unlock()
	return d.Disk.Close(fd)
}

func (d *holdDisk) count() {
	d.mu.Lock()
	d.syncs++
	d.mu.Unlock()
}

func (d *holdDisk) SyncSpare(fd int) error {
	d.count()
	return d.Disk.SyncSpare(fd)
}

func (d *holdDisk) SyncDirectory(path string) error {
	d.count()
	return d.Disk.SyncDirectory(path)
}

// concurrent are how many delete at once, each a layer of so many files.
var concurrent = []int{1, 8, 64}

const layerFiles = 100

// holds measures the hold of the store lock by deletions: of one layer by its size, and
// for each layer where several delete at once or one deletes several.
func (b *bench) holds(ctx context.Context) error {
	return b.each(ctx, "hold", func(p *place, dir string, row func(Row)) error {
		disk := &holdDisk{Disk: kernel.LinuxDisk(), taken: map[int]time.Time{}}
		store, err := layerstore.Open(filepath.Join(dir, "store"), layerstore.Make(0o700), kernel.WithDisk[layerstore.Option](disk))
		if err != nil {
			return err
		}
		defer store.Close()
		// deletes makes layers and lets several delete them, each at least one.
		deletes := func(what string, n, layers, deleters, files int) error {
			var ids []string
			for i := range layers {
				id := fmt.Sprintf("l%d", i)
				if _, err := store.Create(ctx, layerstore.Layer{ID: id}, layerstore.Empty()); err != nil {
					return err
				}
				path, err := store.Path(ctx, id)
				if err != nil {
					return err
				}
				flat, err := shapeOf("flat", files)
				if err != nil {
					return err
				}
				if err := flat.tree(filepath.Join(path, "tree")); err != nil {
					return err
				}
				ids = append(ids, id)
			}
			if err := p.settle(false); err != nil {
				return err
			}
			disk.held, disk.syncs = 0, 0
			failed := make([]error, deleters)
			var all sync.WaitGroup
			began := time.Now()
			for i := range deleters {
				all.Go(func() {
					mine := ids[i*layers/deleters : (i+1)*layers/deleters]
					_, failed[i] = store.Delete(context.WithoutCancel(ctx), mine...)
				})
			}
			all.Wait()
			row(Row{What: what, N: n, Took: time.Since(began), Each: disk.held / time.Duration(layers), Count: disk.syncs})
			return errors.Join(errors.Join(failed...), ctx.Err())
		}
		err = tens(b.Files, func(files int) error { return deletes("files in the layer", files, 1, 1, files) })
		for _, n := range concurrent {
			if err == nil {
				err = deletes("deleters of a layer each", n, n, n, layerFiles)
			}
			if err == nil {
				err = deletes("layers in one deletion", n, n, 1, layerFiles)
			}
		}
		return err
	})
}

// mostLooks bounds how often something is looked at that takes a microsecond or a few.
const mostLooks = 100_000

// idle measures what a look at a root costs that has nothing to recover, and counts its
// system calls.
func (b *bench) idle(ctx context.Context) error {
	looks := min(100*b.Files, mostLooks)
	return b.each(ctx, "idle", func(_ *place, dir string, row func(Row)) error {
		var calls atomic.Int64
		later := kernel.WithClock[tempdir.Option](func() time.Time { return time.Now().Add(time.Hour) }) // a young root's time is not trusted
		counted := kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), kernel.HookFunc(func(*kernel.Call) error {
			calls.Add(1)
			return nil
		})))
		for _, c := range []struct {
			times int
			opts  []tempdir.Option
		}{{1, []tempdir.Option{later, counted}}, {looks, []tempdir.Option{later}}} {
			root, err := tempdir.Open(dir, c.opts...)
			if err != nil {
				return err
			}
			defer root.Close()
			if _, err := root.MaybeDirty(); err != nil {
				return err
			}
			if _, err := root.Recover(ctx); err != nil {
				return err
			}
			calls.Store(0)
			began := time.Now()
			for range c.times {
				if dirty, err := root.MaybeDirty(); dirty || err != nil {
					return errors.Join(errors.New("a root without instances is taken for dirty"), err)
				}
			}
			if c.times > 1 {
				row(Row{What: "MaybeDirty", N: c.times, Each: time.Since(began) / time.Duration(c.times)})
			} else {
				row(Row{What: "MaybeDirty, system calls", N: 1, Count: int(calls.Load())})
			}
		}
		for _, c := range []struct {
			what string
			look func() error
		}{
			{"openat, getdents64, close of an empty directory", func() error { return list(dir) }},
			{"os.ReadDir of an empty directory", func() error {
				_, err := os.ReadDir(dir)
				return err
			}},
		} {
			began := time.Now()
			for range looks {
				if err := c.look(); err != nil {
					return err
				}
			}
			row(Row{What: c.what, N: looks, Each: time.Since(began) / time.Duration(looks)})
		}
		return nil
	})
}

func list(dir string) error {
	var buffer [4096]byte
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Getdents(fd, buffer[:])
	return errors.Join(err, unix.Close(fd))
}

// mostInstances bounds the stale instances that are recovered.
const mostInstances = 10_000

// recoveries measures the recovery of many stale instances.
func (b *bench) recoveries(ctx context.Context) error {
	return b.each(ctx, "recovery", func(p *place, dir string, row func(Row)) error {
		return tens(min(max(b.Files/10, 10), mostInstances), func(n int) error {
			path := filepath.Join(dir, fmt.Sprint(n))
			root, err := tempdir.Open(path, tempdir.Make(0o700))
			if err != nil {
				return err
			}
			defer root.Close()
			for range n {
				if err := leave(root); err != nil {
					return err
				}
			}
			if err := errors.Join(p.settle(false), ctx.Err()); err != nil {
				return err
			}
			return b.apart(row, Row{What: "stale instances", N: n}, "recover", path)
		})
	})
}

// leave makes a stale instance with a file.
func leave(root *tempdir.Root) error {
	instance, err := root.Create()
	if err != nil {
		return err
	}
	addition, err := instance.StageAddition()
	if err == nil {
		err = os.WriteFile(addition.Path(), []byte("content"), 0o600)
	}
	return errors.Join(err, instance.Release())
}

// memory measures the peak memory of removals, beside that of a process that does nothing.
func (b *bench) memory(ctx context.Context) error {
	return b.each(ctx, "memory", func(p *place, dir string, row func(Row)) error {
		if err := b.apart(row, Row{What: "a process that removes nothing"}, "nothing", ""); err != nil {
			return err
		}
		nested, err := shapeOf("nested", b.Files)
		if err != nil {
			return err
		}
		flat, err := shapeOf("flat", b.Files)
		if err != nil {
			return err
		}
		levels := max(b.Files/100, 1)
		for i, s := range []shape{nested, flat, chain(levels, levels)} {
			path := filepath.Join(dir, "tree")
			if err := errors.Join(s.tree(path), p.settle(false), ctx.Err()); err != nil {
				return err
			}
			if err := b.apart(row, Row{What: []string{"files, nested", "files, flat", "levels"}[i], N: s.files}, "remove", path); err != nil {
				return err
			}
		}
		return nil
	})
}

// roleOne is a process that does one thing, so that its peak of memory is that thing's.
const roleOne = "speed of one"

func init() { proc.Register(roleOne, one) }

func one(arguments []string) {
	path := arguments[1]
	var before, after unix.Rusage
	proc.Fail(unix.Getrusage(unix.RUSAGE_SELF, &before))
	began, n := time.Now(), 0
	switch arguments[0] {
	case "explore":
		found, err := model.Find(path).Check(context.Background(), model.Options{}, false)
		proc.Fail(err)
		n = int(found.Distinct)
	case "remove":
		proc.Fail(tempdir.Remove(context.Background(), path))
	case "recover":
		root, err := tempdir.Open(path)
		proc.Fail(err)
		report, err := root.Recover(context.Background())
		proc.Fail(err)
		if n := report.Count(tempdir.Recovered); fmt.Sprint(n) != filepath.Base(path) {
			proc.Fail(fmt.Errorf("%d were recovered of %s", n, path))
		}
	}
	r := Row{N: n, Took: time.Since(began)}
	proc.Fail(unix.Getrusage(unix.RUSAGE_SELF, &after))
	r.User = time.Duration(after.Utime.Nano() - before.Utime.Nano())
	r.Kernel = time.Duration(after.Stime.Nano() - before.Stime.Nano())
	// Not the peak of getrusage, which begins with the parent's.
	text, err := os.ReadFile("/proc/self/status")
	proc.Fail(err)
	var kib int64
	_, peak, _ := strings.Cut(string(text), "VmHWM:")
	if _, err := fmt.Sscan(peak, &kib); err != nil {
		proc.Fail(fmt.Errorf("/proc/self/status does not tell the peak of memory: %w", err))
	}
	r.Memory = kib << 10
	proc.Fail(proc.Parent.Send(r))
}

// apart does one thing in a process of its own.
func (b *bench) apart(row func(Row), r Row, do, path string) error {
	p := proc.New(roleOne, do, path)
	if err := p.Start(); err != nil {
		return err
	}
	defer p.Kill()
	var said Row
	if err := p.Receive(&said); err != nil {
		p.Kill() // after which all is there that it said
		return fmt.Errorf("%w: %s", err, p.Said())
	}
	r.N, r.Took, r.User, r.Kernel, r.Memory = cmp.Or(said.N, r.N), said.Took, said.User, said.Kernel, said.Memory
	if r.N > 0 {
		r.Each = r.Took / time.Duration(r.N)
	}
	row(r)
	return nil
}
