package worlds

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// after judges when the program has ended and the obstacles are lifted.
func (g *game) after(ctx context.Context) {
	g.untouched(g.outside)
	if g.is(upstream, "live") {
		data, err := os.ReadFile(filepath.Join(g.root, "temp-dir-42", "0-x", "f"))
		if err != nil || string(data) != "of somebody" {
			g.find("the data of a live instance of upstream: %q, %v", data, err)
		}
	}
	if g.ofStore() {
		g.layersAfter(ctx)
	}
}

// layersAfter compares what the store lists with what its operations said.
func (g *game) layersAfter(ctx context.Context) {
	store, err := layerstore.Open(filepath.Join(g.store, "ls"), layerstore.WithoutRecovery())
	if err != nil {
		g.find("open the store afterwards: %v", err)
		return
	}
	defer store.Close()
	layers, err := store.List(ctx)
	if err != nil {
		g.find("list the store afterwards: %v", err)
		return
	}
	listed := map[string]layerstore.Layer{}
	for _, layer := range layers {
		listed[layer.ID] = layer
	}
	_, base := listed["base"]
	added, isAdded := listed["added"]
	if !maps.Equal(listed["kept"].Labels, labels) {
		g.find("a layer that nobody touched is listed as %.100v", listed["kept"])
	}
	perhaps := g.last.Failed && g.last.Effect == layerstore.MayHaveEffect
	deleted := g.is(program, "store-delete", "overlay-delete") &&
		(!g.last.Failed || g.last.What != "layer deleted" && g.last.What != "open" || g.last.Effect == layerstore.TookEffect)
	if base == deleted && !g.dead && !perhaps {
		g.find("the layer is listed: %v, and its deletion said: %s", base, g.last.Err)
	}
	if isAdded != g.created && !perhaps {
		g.find("the new layer is listed: %v, and its creation said: %s", isAdded, g.last.Err)
	}
	if !g.created {
		return
	}
	if parent := map[bool]string{true: "kept"}[g.is(program, "overlay-create")]; added.Parent != parent || !maps.Equal(added.Labels, labels) {
		g.find("the new layer is listed as %.100v", added)
	}
	seen, err := look(g.added)
	if d := differs(g.content, seen); err != nil || d != "" {
		g.find("the new layer: %s, %v", d, err)
	}
}

// comparable reports whether rm could be asked to do the same in the same world.
func (g *game) comparable() bool {
	if g.elsewhere {
		return false
	}
	if g.is(refuse, withoutLocks...) && !g.is(program, "delete", "remove", "release", "cli-rm") {
		return false // there is no recovery, and no layer store, without locks
	}
	if g.is(fileSystem, "readonly") && g.ofStore() || g.is(shape, "locked") {
		return false // a store cannot forget a layer, nor a recovery take a lock, and rm needs neither
	}
	if g.is(place, "lower") && g.ofStore() && !g.is(space, "free") {
		return false // what a store writes over has to be copied up first
	}
	if g.is(refuse, "everything-of-a-sandbox") && !g.is(proc, "full") {
		return false // nothing tells mounts apart: "Systems" in package tempdir
	}
	if g.is(fileSystem, "fuse") && g.is(company, "reader") {
		return false // libfuse renames what is open, and keeps its directory: no reader is there for rm
	}
	if g.is(rootIs, "exposed") && !g.is(program, "delete", "remove", "cli-rm", "release") || g.ofStore() && !g.is(use, "nobody", "unrelated") {
		return false // that is refused, for good reasons
	}
	return g.is(program, "delete", "remove", "release", "cli-rm", "store-delete", "overlay-delete", "recover", "cli-recover", "store-recover") &&
		g.is(space, "free", "noblocks", "noinodes", "quota") && g.is(company, "nobody", "reader") && g.is(upstream, "none")
}

// compare builds the world once more and lets rm remove what ours has not removed.
func (v *volumes) compare(ctx context.Context, g *game, n int) error {
	s, err := v.build(ctx, g.World, n)
	defer s.leave()
	if err == nil {
		err = v.permitted(s.obstruct())
	}
	if err == nil {
		err = v.run(ctx, s, "rm", func(step) {})
	}
	s.lift()
	if err == nil && !exists(s.victim) {
		g.find("rm -rf removes it as the same user in the same world; ours said, at %s: %s", g.last.What, g.last.Err)
	}
	return err
}

// finish recovers without an obstacle, by a process that may do everything: nothing
// may be left then.
func (g *game) finish(ctx context.Context) {
	g.release()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g.settle(ctx)
	if g.ofStore() {
		g.finishStore(ctx)
		return
	}
	options := []tempdir.Option{tempdir.OrphanGrace(0), tempdir.AllowOthers(), tempdir.DetachMounts()}
	if exists(g.root) {
		root, err := tempdir.Open(g.root, options...)
		if err == nil {
			_, err = root.Recover(ctx)
			err = errors.Join(err, root.Close())
		}
		if err != nil {
			g.find("recovery afterwards, without an obstacle: %v", err)
		}
		if left := g.instances(); len(left) > 0 {
			g.find("left after a recovery without an obstacle: %v", left)
		}
	}
	if err := tempdir.Remove(ctx, g.victim, tempdir.DetachMounts()); err != nil && !errors.Is(err, tempdir.ErrVictimGone) && !g.dead {
		g.find("remove afterwards, without an obstacle: %v", err)
	}
	if exists(g.victim) {
		g.find("left after a removal without an obstacle: the victim")
	}
}

// settle waits for the locks that are left, see settled. It takes none, or who is forked
// meanwhile would have that.
func (g *game) settle(ctx context.Context) {
	locks, _ := filepath.Glob(filepath.Join(g.root, "lock-*"))
	for _, lock := range locks {
		fd, err := unix.Open(lock, unix.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		if !settled(ctx, func() bool { return !locked(fd) }) {
			g.find("%s is locked, and all who could hold the lock have ended", filepath.Base(lock))
		}
		unix.Close(fd)
	}
}

// settled waits until it is so, and reports whether it is before ctx is done: a process that
// another world forks has the descriptors of this one, and their locks, until its exec, and
// nothing tells when the kernel has closed the last of them.
func settled(ctx context.Context, is func() bool) bool {
	for !is() {
		if ctx.Err() != nil {
			return false
		}
		time.Sleep(time.Millisecond)
	}
	return true
}

func locked(fd int) bool {
	l := unix.Flock_t{Type: unix.F_WRLCK}
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_GETLK, &l) == nil && l.Type != unix.F_UNLCK
}

func (g *game) finishStore(ctx context.Context) {
	store, err := layerstore.Open(filepath.Join(g.store, "ls"), layerstore.OrphanGrace(0), layerstore.CountsOnly(), layerstore.WithoutRecovery())
	if err != nil {
		g.find("open the store afterwards: %v", err)
		return
	}
	defer store.Close()
	if g.is(use, "held") {
		_ = store.Unmount(ctx, "base")
	}
	if _, err = store.Recover(ctx); err != nil {
		g.find("recovery of the store afterwards, without an obstacle: %v", err)
	}
	if left := g.instances(); len(left) > 0 {
		g.find("left after a recovery of the store without an obstacle: %v", left)
	}
	if base, err := store.Exists(ctx, "base"); err != nil {
		g.find("%v", err)
	} else if base {
		if _, err := store.Delete(ctx, "base"); err != nil {
			g.find("delete the layer afterwards, without an obstacle: %v", err)
		}
	}
	if exists(g.victim) {
		g.find("left after all: the layer's files")
	}
	if g.is(program, "store-recover") && exists(g.layer("flagged")) {
		g.find("left after all: a flagged layer")
	}
}

// accompany starts who else is there, and returns what ends that.
func (g *game) accompany(ctx context.Context) func() {
	ctx, cancel := context.WithCancel(ctx)
	var wait sync.WaitGroup
	end := func() {
		cancel()
		wait.Wait()
	}
	repeat := func(do func() (more bool)) {
		wait.Go(func() {
			for ctx.Err() == nil && do() {
				time.Sleep(200 * time.Microsecond) // one of two processors is for the program
			}
		})
	}
	switch g.value(company) {
	case "reader":
		f, err := os.Open(filepath.Join(g.victim, "d", "f"))
		if err != nil || g.is(shape, "symlink") {
			return end
		}
		return func() {
			defer f.Close()
			end()
			content := make([]byte, 100)
			n, err := f.ReadAt(content, 0)
			if string(content[:n]) != "content of d/f" {
				g.find("who had opened a file before reads %q, %v", content[:n], err)
			}
		}
	case "writer":
		dir, err := os.OpenFile(g.victim, unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
		if err != nil {
			return end
		}
		n := 0
		repeat(func() bool {
			n++
			fd, err := unix.Openat(int(dir.Fd()), fmt.Sprint("new", n), unix.O_CREAT|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
			if err == nil {
				unix.Close(fd)
			}
			return n < 5000
		})
		return func() {
			end()
			dir.Close()
		}
	case "cleaner":
		repeat(func() bool {
			locks, _ := filepath.Glob(filepath.Join(g.root, "lock-*"))
			for _, lock := range locks {
				if filepath.Base(lock) != "lock-42" {
					_ = os.Remove(lock)
				}
			}
			return true
		})
	case "recoverer":
		repeat(func() bool {
			if root, err := tempdir.Open(g.root, tempdir.MixedFleet(time.Minute, 24*time.Hour), tempdir.AllowOthers()); err == nil {
				_, _ = root.Recover(ctx)
				_ = root.Close()
			}
			return true
		})
	}
	return end
}
