package worlds

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	bench "github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A game is one program in one world.
type game struct {
	*site
	findings  []string
	layout    tree   // of the store before the program, for those that change nothing
	last      step   // that failed
	created   bool   // the layer was
	elsewhere bool   // the last failure is about another world
	end       func() // of the company
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
	if g.is(program, "list", "cli-ls", "store-list") {
		if g.layout, err = look(s.store); err != nil {
			return nil, err
		}
	}
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
	g.untouched(s.used)
	if g.layout != nil && g.is(company, "nobody", "reader") {
		g.untouched(map[string]tree{s.store: g.layout})
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
	role := roleActor
	if strings.HasPrefix(program, "cli-") {
		role = roleCommand
	}
	p := bench.New(role)
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
func (g *game) whole(path string, before tree) string {
	if g.is(company, "writer") {
		return "" // somebody changes it
	}
	if g.under != nil {
		path = byDescriptor(g.under)
	}
	seen, err := look(path)
	if err != nil {
		return err.Error()
	}
	return differs(before, seen)
}

// judge looks at the disk while the program waits.
func (g *game) judge(s step) {
	if s.Failed {
		g.last = s
		if slices.Contains(s.Kinds, "ErrVictimGone") && exists(g.victim) && s.What != "commit" {
			g.find("%s: says that the victim is gone, and it is there: %s", s.What, s.Err)
		}
		if slices.Contains(s.Kinds, "DeadlineExceeded") {
			g.find("%s: not done after %v: %s", s.What, patience, s.Err)
		}
		// What other worlds have mounted at this moment is in the kernel's table, too.
		g.elsewhere = slices.Contains(s.Kinds, "ErrMounted") && !strings.Contains(s.Err, g.dir+"/")
		if why := unexplained(g.World, s); why != "" && !g.elsewhere {
			g.find("%s failed, and nothing in this world explains %s: %s", s.What, why, s.Err)
		}
	}
	if s.Demand && g.is(shape, "pinned") && g.is(user, "self") && exists(g.flagged()) && !flagIsSet(g.flagged()) {
		g.find("%s: a flag of the directory was cleared, and is not set again", s.What)
	}
	must := func(kind string) {
		if !s.Failed {
			g.find("%s: nil, and not %s", s.What, kind)
		}
	}
	switch s.What {
	case "open":
		if g.is(rootIs, "exposed") {
			must("ErrExposed")
		}
	case "create":
		if s.Failed && !s.Demand && !g.dead && len(g.instances()) > 0 && !g.is(space, "noblocks", "noinodes", "quota") {
			g.find("create: failed (%s), and leaves %v", s.Err, g.instances())
		}
	case "stage":
		switch {
		case s.Failed:
			if d := g.whole(g.victim, g.before); d != "" && !s.Demand {
				g.find("stage failed (%s) and the victim is not intact: %s", s.Err, d)
			}
		case exists(g.victim):
			g.find("stage: nil, and the victim is there")
		case !s.Demand:
			g.staged()
		}
	case "remove":
		if !s.Failed && exists(g.victim) {
			g.find("remove: nil, and the victim is there")
		}
	case "close", "recover":
		if !s.Failed && len(g.instances()) > 0 && !g.is(company, "cleaner", "recoverer") {
			g.find("%s: nil, and %v is there", s.What, g.instances())
		}
		if s.What == "recover" && !s.Failed && g.is(program, "store-recover") && exists(g.layer("flagged")) {
			g.find("recover: nil, and a flagged layer is there")
		}
	case "commit over":
		must("fs.ErrExist")
		if d := g.whole(g.victim, g.before); d != "" {
			g.find("a commit (%s) has changed what was there: %s", s.Err, d)
		}
	case "commit":
		seen, err := look(g.added)
		want := tree{".": {Type: "d", Mode: closedTop}, "d": {Type: "d", Mode: 0o755}, "d/f": {Type: "-", Mode: 0o644, Content: "added"}}
		switch {
		case s.Failed && exists(g.added) && !slices.Contains(s.Kinds, "ErrUnrestored"):
			g.find("commit failed (%s), and the destination is there", s.Err)
		case !s.Failed && (err != nil || differs(want, seen.bare()) != ""):
			g.find("commit: nil, and the destination: %s, %v", differs(want, seen.bare()), err)
		}
	case "layer deleted":
		if !s.Failed && exists(g.victim) {
			g.find("layer deleted: nil, and its files are there")
		}
		if g.is(use, "whole", "part", "overlay", "relative", "held") || g.is(shape, "mounts", "mounted", "livefuse", "deadfuse", "deadvictim") {
			must("ErrMounted")
			if s.Effect == layerstore.TookEffect {
				g.find("layer deleted: it is used, and the deletion took effect: %s", s.Err)
			}
		}
		if s.Failed && s.Effect == layerstore.NoEffect {
			if d := g.whole(g.victim, g.before); d != "" {
				g.find("layer deleted failed without effect (%s), and the layer is not intact: %s", s.Err, d)
			}
		}
		if s.Failed && s.Effect == layerstore.TookEffect && !slices.Contains(s.Kinds, "layerstore.ErrLeftover") && !slices.Contains(s.Kinds, "ErrLeftover") {
			g.find("layer deleted: took effect, and does not say that something is left: %s", s.Err)
		}
	case "layer created again":
		must("ErrLayerExists")
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
	case "listed layers":
		if !strings.HasPrefix(s.Text, "kept\n") || !strings.HasSuffix(s.Text, "added") {
			g.find("list: the layer is not in %q", s.Text)
		}
	case "end":
		for _, what := range s.Left {
			g.find("%s more than before", what)
		}
	}
}

// staged looks for the victim in an instance of ours: it was made writable to be moved.
func (g *game) staged() {
	entries, _ := filepath.Glob(filepath.Join(g.root, "temp-dir-*", "0-v"))
	if len(entries) == 0 || g.is(company, "cleaner") {
		return
	}
	moved := entries[len(entries)-1]
	writable := func(one *seen) { one.Mode |= 0o200 }
	if d := g.whole(moved, g.before); d != "" {
		if d = g.whole(moved, g.before.with(".", writable)); d != "" {
			g.find("stage: nil, and what is staged is not intact: %s", d)
		}
	}
}

// instances are the names of ours in the root.
func (g *game) instances() (names []string) {
	entries, _ := os.ReadDir(g.root)
	for _, e := range entries {
		name := e.Name()
		_, id, _ := strings.Cut(strings.TrimPrefix(name, "temp-"), "-")
		if !slices.Contains([]string{"42", strangerID, orphanID, liveID}, id) && !strings.HasPrefix(name, ".fuse_hidden") { // libfuse renames what is open
			names = append(names, name)
		}
	}
	return names
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// untouched judges trees that nobody may touch.
func (g *game) untouched(trees map[string]tree) {
	for path, before := range trees {
		seen, err := look(path)
		if err != nil {
			g.find("outside: %v", err)
		} else if d := differs(before, seen); d != "" {
			g.find("outside, %s: %s", strings.TrimPrefix(path, g.dir), d)
		}
	}
}
