//go:build amd64 || arm64

package blackbox

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
)

// A state is what is on disk after a crash.
type state struct {
	tree tree
	// path is how to get there: the program is killed before this call, the
	// recovery before that change, and so on; from 1.
	path []int
}

// A trace is one run of a program, looked at before each call.
type trace struct {
	program  *program
	calls    sequence
	mutating []bool   // which of them are crash points
	texts    []string // of the disk before each call, and at the end
	states   []state  // the different ones
}

// traceProgram runs the program once. At every crash point, and at the end, the
// disk is judged, and another process recovers a copy of it.
func (c *campaign) traceProgram(w *worker, p *program) (*trace, error) {
	if err := w.prepare(p.scene); err != nil {
		return nil, err
	}
	d, err := w.begin(p)
	if err != nil {
		return nil, err
	}
	t := &trace{program: p}
	text, seen := "", make(map[string]bool)
	after, answer, ok, err := w.follow(d, p.scene, func(k int, disk tree, fresh bool) error {
		if fresh {
			text = disk.text()
		}
		mutating := d.at.call.mutating()
		t.calls, t.texts, t.mutating = append(t.calls, d.at.call.name), append(t.texts, text), append(t.mutating, mutating)
		if !seen[text] {
			seen[text] = true
			t.states = append(t.states, state{disk, []int{k}})
		}
		if mutating {
			return c.crashPoint(w, p, disk, []int{k})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	t.texts = append(t.texts, after.text())
	how := killed(p, len(t.calls)+1)
	if !ok {
		c.problem(how, fmt.Sprintf("%s, undisturbed: %s", p.name, answer))
	}
	c.problems(how, p.judge(after, true, ok))
	c.count(func(r *Report) { r.Programs++ })
	return t, nil
}

// crashPoint judges the disk that a crash leaves, and what a recovery makes of a
// copy of it.
func (c *campaign) crashPoint(w *worker, p *program, disk tree, path []int) error {
	how := killed(p, path...)
	c.problems(how, p.judge(disk, false, false))
	after, err := w.recoverCopy(p, disk)
	if err != nil && !isRefusal(err) {
		return err
	}
	if err != nil {
		c.problem(how, fmt.Sprintf("the recovery after the crash: %v", err))
	} else {
		c.problems(how, p.judgeRecovery(disk, after, false))
	}
	c.count(func(r *Report) { r.CrashPoints++ })
	return nil
}

// claim returns those of the states that nobody claimed before. What a recovery
// makes of a state does not depend on the program that left it.
func (c *campaign) claim(p *program, states []state) (fresh []state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = make(map[string]bool)
	}
	about := p.root
	if p.store != "" {
		about = p.name // where crashes in a row are bounded, it matters who comes first
	}
	for _, s := range states {
		if key := about + "\n" + s.tree.text(); !c.seen[key] {
			c.seen[key] = true
			fresh = append(fresh, s)
		}
	}
	return fresh
}

// nest recovers from every state that a crash left, looks at the disk at each
// crash point of the recovery, and goes on with the states that are new: until
// there are none, or in a store, which has very many, after so many crashes in a
// row that [Options] say.
func (c *campaign) nest(ctx context.Context, w *worker, t *trace) error {
	queue := append([]state{}, t.states...)
	for len(queue) > 0 && ctx.Err() == nil {
		from := queue[0]
		queue = queue[1:]
		found, err := c.recoverWatched(w, t.program, from)
		if err != nil {
			return err
		}
		if bound := c.crashesInARow(t.program); bound == 0 || len(from.path) < bound {
			queue = append(queue, c.claim(t.program, found)...)
		}
		c.count(func(r *Report) { r.States++ })
	}
	return ctx.Err()
}

// crashesInARow bounds how many crashes come one after another, the program's
// included; 0: nothing does.
func (c *campaign) crashesInARow(p *program) int {
	switch {
	case p.store == "":
		return 0
	case c.Deep:
		return 3
	}
	return 2
}

// recoverWatched recovers from the state, to the end, and returns the states at
// the crash points on the way.
func (c *campaign) recoverWatched(w *worker, p *program, from state) (found []state, err error) {
	if _, there := from.tree.below(p.root); !there {
		return nil, nil // there is no root yet, or none any more
	}
	if err := w.prepare(from.tree); err != nil {
		return nil, err
	}
	d, err := w.recoverer(p, w.changes)
	if err != nil {
		return nil, err
	}
	after, answer, ok, err := w.follow(d, from.tree, func(k int, disk tree, _ bool) error {
		if d.at.call.mutating() {
			found = append(found, state{disk, append(slices.Clone(from.path), k)})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	how := killed(p, from.path...)
	if !ok {
		c.problem(how, "the recovery after the crash: "+answer)
	}
	c.problems(how, p.judge(from.tree, false, false))
	c.problems(how, p.judgeRecovery(from.tree, after, false))
	c.count(func(r *Report) { r.NestedPoints += len(found) })
	return found, nil
}

// recoverer starts a recovery of the scene under the supervisor.
func (w *worker) recoverer(p *program, super *supervisor) (*process, error) {
	binary, command, dir := p.recovery()
	key := "recoverer " + binary
	if super == w.super {
		key = "watched " + key
	}
	d, err := w.driverAs(super, key, binary)
	if err != nil {
		return nil, err
	}
	return d, super.command(d, command, filepath.Join(w.scene, dir))
}
