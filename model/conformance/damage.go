//go:build linux

package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/model"
)

// observed is the state of the specification as far as the observer sees it:
// what is on disk, who has which lock file open, and who holds its lock. The
// rest is taken from the state that the scheduler is in, after the comparison
// found every process standing where that says.
func (s *scheduler) observed(state *model.State) (model.State, error) {
	seen, w := *state, s.world
	seen.Data = 0
	for i := 1; i < idCount; i++ {
		seen.Lock[i] = w.number(w.seen.lock[i])
		if w.seen.data[i] != 0 {
			seen.Data |= 1 << i
		}
	}
	for x := 1; x < itemCount; x++ {
		seen.Place[x], seen.Tree[x] = w.seen.place[x], w.seen.files[x]
	}
	for _, p := range s.procs[1:] {
		seen.Fd[p.number] = model.None
		if p.lock >= 0 {
			seen.Fd[p.number] = w.number(p.inode)
		}
	}
	for n := range w.inodes {
		if w.inodes[n].inode == 0 {
			seen.Holder[n] = model.None
			continue
		}
		held, by, err := w.locked(model.Inode(n))
		if err != nil {
			return seen, err
		}
		seen.Holder[n] = model.None
		for _, p := range s.procs[1:] {
			if !held || p.lock < 0 || p.inode != w.inodes[n].inode {
				continue
			}
			holds := by == p.pid && p.upstream
			if by == -1 && !p.upstream {
				other, _, err := lockedFor(p.lock)
				if err != nil {
					return seen, err
				}
				holds = !other
			}
			// A POSIX lock is the whole process's; the specification says
			// which of its goroutines took it last.
			if holds && (seen.Holder[n] == model.None || p.number == state.Holder[n]) {
				seen.Holder[n] = p.number
			}
		}
	}
	return seen, nil
}

// words says what is on disk, and who has which lock.
func (s *scheduler) words(o *model.State) string {
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	for i, id := range s.config.ID {
		if n := o.Lock[i+1]; n != model.None {
			add("lock-%s is file %d", id, n)
		}
		if o.Data>>(i+1)&1 != 0 {
			add("temp-dir-%s", id)
		}
	}
	for n, p := range o.Holder {
		if p == model.None {
			continue
		}
		text := fmt.Sprintf("%s locks file %d", s.procs[p].name, n)
		if !named(o, model.Inode(n)) {
			text += ", which has no name"
		}
		words = append(words, text)
	}
	for x := 1; x < itemCount; x++ {
		if o.Place[x] == model.Home || o.Place[x] > model.PlaceGone {
			add("%s %s (files: %d)", s.world.itemNames[x], s.placeText(o.Place[x]), o.Tree[x])
		}
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, "; ")
}

func named(o *model.State, n model.Inode) bool { return slices.Contains(o.Lock[1:], n) }

// damage says in a plain sentence what is broken in the observed world.
func (d *demonstration) damage(before, o *model.State, a *step) string {
	switch d.m.Properties[0] {
	case "LiveKept":
		for _, p := range d.procs[1:] {
			if !p.creator || !isLive(o.PC[p.number]) {
				continue
			}
			id := d.config.ID[o.ID[p.number]-1]
			if o.Data>>o.ID[p.number]&1 == 0 {
				return fmt.Sprintf("live instance %s of %s has lost its data", id, p.name)
			}
			for x := 1; x < itemCount; x++ {
				if o.Place[x] == model.Inside(o.ID[p.number]) && int(o.Tree[x]) != d.config.Files {
					return fmt.Sprintf("live instance %s of %s: %s has %d of %d files", id, p.name, d.world.itemNames[x], o.Tree[x], d.config.Files)
				}
			}
		}
	case "ReachableWhole":
		for _, p := range d.procs[1:] {
			if x := o.Arg[p.number]; o.PC[p.number] == model.OK && p.at.Place == atReply && int(o.Tree[x]) != d.config.Files {
				return fmt.Sprintf("the commit of %s returned success to %s, with %d of %d files present", d.world.itemNames[x], p.name, o.Tree[x], d.config.Files)
			}
		}
	case "UnlinkedByHolder":
		for i, name := range d.config.ID {
			if before.Lock[i+1] != model.None && o.Lock[i+1] != before.Lock[i+1] {
				return fmt.Sprintf("lock-%s was unlinked by %s, which does not hold its lock", name, d.procs[a.proc].name)
			}
		}
	case "GoneInTheEnd":
		for i, name := range d.config.ID {
			if o.Data>>(i+1)&1 != 0 || o.Lock[i+1] != model.None {
				return fmt.Sprintf("%s is still there after %d rounds, and will be for ever", name, rounds)
			}
		}
	}
	return ""
}

// isLive says whether an owner with this place has a live instance.
func isLive(pc model.PC) bool { return pc >= model.Live && pc <= model.Failed }
