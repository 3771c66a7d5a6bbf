package worlds

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	bench "github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A game is one program in one world.
type game struct {
	*site
	findings []string
	modes    tree   // of the victim
	layout   tree   // of the store before the program, for those that change nothing
	last     step   // that failed
	created  bool   // the layer was
	end      func() // of the company
}

func (g *game) find(format string, arguments ...any) {
	g.findings = append(g.findings, fmt.Sprintf(format, arguments...))
}

// play runs the world's program in a new site and judges. The error matches
// errRefused if there can be no such world here.
func (v *volumes) play(ctx context.Context, w World, n int) ([]string, error) {
	s, err := v.build(ctx, w, n)
	defer func() {
		if s != nil {
			s.leave()
		}
	}()
	g := &game{site: s}
	if err == nil {
		err = v.permitted(s.obstruct())
	}
	if err != nil {
		return nil, err
	}
	if g.is(program, "list", "cli-ls") {
		if g.layout, err = look(s.store); err != nil {
			return nil, err
		}
	}
	g.modes = modes(s.victim)
	err = v.run(ctx, s, w.value(program), func(said step) {
		if said.What == "ready" {
			g.end = g.accompany(ctx)
		}
		g.judge(said)
	})
	if g.end != nil {
		g.end()
	}
	if err != nil {
		if errors.Is(err, errRefused) {
			return nil, err
		}
		g.find("%v", err)
	}
	if g.last.Failed && g.unobstructed() {
		g.find("%s failed, and nothing is in the way: %s", g.last.What, g.last.Err)
	}
	s.lift()
	g.after(ctx)
	gone := !exists(s.victim) && len(g.instances()) == 0
	if len(g.findings) == 0 && !gone && g.last.Failed && g.comparable() {
		s.leave()
		err = v.compare(ctx, g, n)
		s = nil
		return g.findings, err
	}
	g.finish(ctx)
	return g.findings, nil
}

// probe builds the world, and starts its process.
func (v *volumes) probe(ctx context.Context, w World, n int) error {
	s, err := v.build(ctx, w, n)
	defer s.leave()
	if err == nil {
		err = v.permitted(s.obstruct())
	}
	if err == nil {
		err = v.run(ctx, s, "nothing", func(step) {})
	}
	return err
}

// run runs a program in the site and passes on what it says.
func (v *volumes) run(ctx context.Context, s *site, program string, judge func(step)) error {
	p := bench.New(roleActor)
	p.SysProcAttr = &syscall.SysProcAttr{}
	if v.mounted {
		p.SysProcAttr.Cloneflags = unix.CLONE_NEWNS
		if s.is(proc, "foreign") {
			p.SysProcAttr.Cloneflags |= unix.CLONE_NEWPID
		}
		if s.is(user, "namespace") {
			ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: ordinary, Size: 1}, {ContainerID: 1, HostID: subordinate, Size: 60_000}}
			p.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
			p.SysProcAttr.UidMappings, p.SysProcAttr.GidMappings = ids, ids
			p.SysProcAttr.GidMappingsEnableSetgroups = true
			p.SysProcAttr.Credential = &syscall.Credential{}
		}
	} else if !s.is(proc, "full") {
		return refused("change /proc", unix.EPERM)
	}
	if err := p.Start(); err != nil {
		return refused("start a process", err)
	}
	stop := context.AfterFunc(ctx, p.Shoot)
	defer stop()
	timer := time.AfterFunc(patience+5*time.Second, p.Shoot)
	defer timer.Stop()
	j := job{World: s.World, Program: program, Root: s.aliased(s.root), Victim: s.victim, Store: s.aliased(s.store), Added: s.added}
	if s.ofStore() {
		j.Store = filepath.Join(j.Store, "ls")
	}
	if s.is(alias, "symlink") {
		j.Victim, j.Added = s.aliased(s.victim), s.aliased(j.Added)
	}
	err := p.Send(j)
	last := "start"
	for err == nil {
		var said step
		if err = p.Receive(&said); err != nil {
			break
		}
		last = said.What
		if said.What == "lack" {
			p.Kill()
			return refused(said.Err, unix.EPERM)
		}
		judge(said)
		err = p.Say("on")
	}
	ended := p.Wait()
	switch {
	case last == "rm":
		return nil // whatever it says
	case last != "end" && !timer.Stop():
		return fmt.Errorf("no end %v after the start; the last step was %q", patience, last)
	case last != "end":
		return fmt.Errorf("the program ended after %q: %w", last, errors.Join(ended, ctx.Err()))
	}
	return nil
}

// whole reports how the tree at path differs from the victim.
func (g *game) whole(path string) string {
	if g.is(company, "writer") {
		return "" // somebody changes it
	}
	seen, err := look(path)
	if err != nil {
		return err.Error()
	}
	return differs(g.before, seen)
}

// judge looks at the disk while the program waits.
func (g *game) judge(s step) {
	if s.Failed {
		g.last = s
		if len(s.Kinds) == 0 {
			g.find("%s: an error without kind or errno: %s", s.What, s.Err)
		}
		if slices.Contains(s.Kinds, "ErrVictimGone") && exists(g.victim) && s.What != "commit" {
			g.find("%s: says that the victim is gone, and it is there: %s", s.What, s.Err)
		}
		if slices.ContainsFunc(s.Kinds, func(kind string) bool { return kind == "ErrInstanceGone" || kind == "ErrRootGone" }) && !g.is(company, "cleaner") {
			g.find("%s: says that somebody broke the protocol: %s", s.What, s.Err)
		}
		if slices.Contains(s.Kinds, "DeadlineExceeded") {
			g.find("%s: not done after %v: %s", s.What, patience, s.Err)
		}
	}
	switch s.What {
	case "stage":
		switch {
		case s.Failed:
			if d := cmp.Or(g.whole(g.victim), differs(g.modes, modes(g.victim))); d != "" && !g.is(company, "writer") {
				g.find("stage failed (%s) and the victim is not intact: %s", s.Err, d)
			}
		case exists(g.victim):
			g.find("stage: nil, and the victim is there")
		default:
			if data, _ := filepath.Glob(filepath.Join(g.root, "temp-dir-*", "0-*")); len(data) > 0 && !g.is(company, "cleaner") {
				if d := g.whole(data[len(data)-1]); d != "" && !strings.HasPrefix(filepath.Base(filepath.Dir(data[len(data)-1])), "temp-dir-42") {
					g.find("stage: nil, and what is staged is not intact: %s", d)
				}
			}
		}
	case "remove":
		if !s.Failed && exists(g.victim) {
			g.find("remove: nil, and the victim is there")
		}
	case "close", "recover":
		if !s.Failed && len(g.instances()) > 0 && !g.is(company, "cleaner", "recoverer") {
			g.find("%s: nil, and %v is there", s.What, g.instances())
		}
	case "commit":
		seen, err := look(g.added)
		switch {
		case s.Failed && exists(g.added) && !slices.Contains(s.Kinds, "ErrUnrestored"):
			g.find("commit failed (%s), and the destination is there", s.Err)
		case !s.Failed && (err != nil || differs(tree{".": "d---------", "d": "d---------", "d/f": "----------added"}, seen) != ""):
			g.find("commit: nil, and the destination is %v, %v", seen, err)
		}
	case "layer deleted":
		if !s.Failed && exists(g.victim) {
			g.find("layer deleted: nil, and its files are there")
		}
		if s.Failed && s.Effect == layerstore.NoEffect {
			if d := g.whole(g.victim); d != "" {
				g.find("layer deleted failed without effect (%s), and the layer is not intact: %s", s.Err, d)
			}
		}
		if s.Failed && s.Effect == layerstore.TookEffect && !slices.Contains(s.Kinds, "layerstore.ErrLeftover") && !slices.Contains(s.Kinds, "ErrLeftover") {
			g.find("layer deleted: took effect, and does not say that something is left: %s", s.Err)
		}
	case "layer created":
		g.created = !s.Failed
	case "command":
		switch {
		case g.is(program, "cli-rm") && !s.Failed && exists(g.victim):
			g.find("rm: exit code 0, and the victim is there")
		case g.is(program, "cli-recover") && !s.Failed && len(g.instances()) > 0 && !g.is(company, "cleaner", "recoverer"):
			g.find("recover: exit code 0, and %v is there: %s", g.instances(), s.Text)
		case g.is(program, "cli-ls") && !s.Failed && !strings.Contains(s.Text, staleID[:8]) && exists(filepath.Join(g.root, "lock-"+staleID)):
			g.find("ls: exit code 0, and the instance is not listed: %s", s.Text)
		}
	case "listed":
		if exists(filepath.Join(g.root, "lock-"+staleID)) && (!strings.Contains(s.Text, staleID) || !strings.Contains(s.Text, "dirty true")) {
			g.find("list: the instance is not in %q", s.Text)
		}
	case "end":
		if s.Leaked > 0 {
			g.find("%d descriptors more than before", s.Leaked)
		}
	}
}

// instances are the names of ours in the root.
func (g *game) instances() (names []string) {
	entries, _ := os.ReadDir(g.root)
	for _, e := range entries {
		if name := e.Name(); name != "lock-42" && name != "temp-dir-42" && !strings.HasPrefix(name, ".fuse_hidden") { // libfuse renames what is open
			names = append(names, name)
		}
	}
	return names
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// after judges when the program has ended and the obstacles are lifted.
func (g *game) after(ctx context.Context) {
	for path, before := range g.outside {
		seen, err := look(path)
		if err != nil {
			g.find("outside: %v", err)
		} else if d := differs(before, seen); d != "" {
			g.find("outside, %s: %s", strings.TrimPrefix(path, g.dir), d)
		}
	}
	if g.layout != nil && g.is(company, "nobody", "reader") {
		seen, err := look(g.store)
		if err != nil {
			g.find("%v", err)
		} else if d := differs(g.layout, seen); d != "" {
			g.find("a program that only looks has changed the store: %s", d)
		}
	}
	if g.is(upstream, "live") {
		data, err := os.ReadFile(filepath.Join(g.root, "temp-dir-42", "0-x", "f"))
		if err != nil || string(data) != "upstream" {
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
	base, err := store.Exists(ctx, "base")
	added, err2 := store.Exists(ctx, "added")
	if err := errors.Join(err, err2); err != nil {
		g.find("list the store afterwards: %v", err)
		return
	}
	deleted := g.is(program, "store-delete") && (!g.last.Failed || g.last.What != "layer deleted" && g.last.What != "open" || g.last.Effect == layerstore.TookEffect)
	if base == deleted && !g.dead && !(g.last.Failed && g.last.Effect == layerstore.MayHaveEffect) {
		g.find("the layer is listed: %v, and its deletion said: %s", base, g.last.Err)
	}
	if added != g.created && !(g.last.Failed && g.last.Effect == layerstore.MayHaveEffect) {
		g.find("the new layer is listed: %v, and its creation said: %s", added, g.last.Err)
	}
	if seen, err := look(g.added); g.created && (err != nil || differs(tree{".": "d---------", "f": "----------added"}, seen) != "") {
		g.find("the new layer: %v, %v", seen, err)
	} else if d := differs(tree{".": "drwxr-xr-x", "f": "-rw-r--r--"}, modes(g.added)); g.created && d != "" {
		g.find("the new layer: %s", d)
	}
}

// unobstructed reports whether there is no reason for any failure: a world in which all
// fails shows nothing.
func (g *game) unobstructed() bool {
	return !g.is(fileSystem, "readonly") && g.is(space, "free") && g.is(proc, "full") && g.is(refuse, "nothing") &&
		g.is(shape, "plain", "deep", "wide", "hardlinks", "names", "special", "acl", "file", "symlink") &&
		g.is(place, "beside") && g.is(alias, "none", "symlink") && g.is(upstream, "none", "stale") && g.is(company, "nobody")
}

// comparable reports whether rm could be asked to do the same in the same world.
func (g *game) comparable() bool {
	if g.is(refuse, "ofdlocks-ENOLCK") && !g.is(program, "delete", "remove", "cli-rm") {
		return false // there is no recovery, and no layer store, without locks
	}
	if g.is(fileSystem, "readonly") && g.ofStore() {
		return false // a store cannot forget a layer that is on another file system, which rm may write
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
	return g.is(program, "delete", "remove", "cli-rm", "store-delete", "recover", "cli-recover", "store-recover") &&
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

func (g *game) finishStore(ctx context.Context) {
	store, err := layerstore.Open(filepath.Join(g.store, "ls"), layerstore.OrphanGrace(0), layerstore.CountsOnly())
	if err != nil {
		g.find("open the store afterwards: %v", err)
		return
	}
	defer store.Close()
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
				time.Sleep(50 * time.Microsecond) // one of two processors is for the program
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
