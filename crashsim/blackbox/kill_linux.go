//go:build amd64 || arm64

package blackbox

import (
	"fmt"

	"github.com/afterlock/afterlock/internal/bench/schedule"
)

// killProgram runs the program to its k-th call, from 1, kills it there for
// real, wants the disk to be what the trace saw before that call, and lets
// another process recover.
func (c *campaign) killProgram(w *worker, t *trace, k int) error {
	p := t.program
	how := killed(p, k)
	if err := w.prepare(p.scene); err != nil {
		return err
	}
	d, err := w.begin(p)
	if err != nil {
		return err
	}
	for i := 1; i <= k && d.busy(); i++ {
		c.problems(how, t.calls.next(i, d.at.call.name))
		if i == k {
			break
		}
		if err := w.super.step(d); err != nil {
			return err
		}
	}
	if !d.busy() {
		return fmt.Errorf("%s made fewer than %d calls this time", p.name, k)
	}
	w.kill(d)
	disk, err := w.look()
	if err != nil {
		return err
	}
	if text := disk.text(); text != t.texts[k-1] {
		c.problem(how, fmt.Sprintf("a kill before call %d of %s leaves %q, and the copy there was %q", k, p.name, text, t.texts[k-1]))
	}
	c.problems(how, p.judge(disk, false, false))
	c.count(func(r *Report) { r.Kills++ })
	return c.finishScene(w, p, how, disk, false)
}

// finishScene lets a process without supervision recover the scene, and judges
// what is there then.
func (c *campaign) finishScene(w *worker, p *program, how *schedule.Schedule, disk tree, done bool) error {
	err := w.recoverAlone(p, w.scene, disk)
	if err != nil && !isRefusal(err) {
		return err
	}
	if err != nil {
		c.problem(how, fmt.Sprintf("the recovery: %v", err))
	}
	after, err := w.look()
	if err != nil {
		return err
	}
	c.problems(how, p.judgeRecovery(disk, after, done))
	return nil
}

// killRecovery recovers from the state and kills the recovery for real, before
// each of its changes in turn (deep: before each of its calls). A third process
// finishes.
func (c *campaign) killRecovery(w *worker, p *program, from state) error {
	if _, there := from.tree.below(p.root); !there {
		return nil
	}
	super := w.changes
	if c.Deep {
		super = w.super
	}
	for k := 1; ; k++ {
		if err := w.prepare(from.tree); err != nil {
			return err
		}
		d, err := w.recoverer(p, super)
		if err != nil {
			return err
		}
		for i := 1; d.busy() && i < k; i++ {
			if err := super.step(d); err != nil {
				return err
			}
		}
		if !d.busy() {
			_, _, err := w.end(d)
			if err == nil {
				_, err = w.look()
			}
			return err
		}
		w.kill(d)
		disk, err := w.look()
		if err != nil {
			return err
		}
		how := killed(p, append(from.path[:len(from.path):len(from.path)], k)...)
		how.Steps[len(from.path)].Changes = !c.Deep
		c.problems(how, p.judge(disk, false, false))
		c.count(func(r *Report) { r.NestedKills++ })
		if err := c.finishScene(w, p, how, disk, false); err != nil {
			return err
		}
	}
}
