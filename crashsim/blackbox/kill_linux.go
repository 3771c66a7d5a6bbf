//go:build amd64 || arm64

package blackbox

import (
	"fmt"
)

// killProgram runs the program to its k-th call, from 1, kills it there for
// real, wants the disk to be what the trace saw before that call, and lets
// another process recover.
func (c *campaign) killProgram(w *worker, t *trace, k int) error {
	p := t.program
	spec := fmt.Sprintf("kill/%s/%d", p.name, k)
	if err := w.prepare(p.scene); err != nil {
		return err
	}
	d, err := w.begin(p)
	if err != nil {
		return err
	}
	for i := 1; i <= k && d.busy(); i++ {
		c.problems(spec, t.calls.next(i, d.at.call.name))
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
		c.problem(spec, fmt.Sprintf("a kill before call %d of %s leaves %q, and the copy there was %q", k, p.name, text, t.texts[k-1]))
	}
	c.problems(spec, p.judge(disk, false, false))
	c.count(func(r *Report) { r.Kills++ })
	return c.finishScene(w, p, spec, disk, false)
}

// finishScene lets a process without supervision recover the scene, and judges
// what is there then.
func (c *campaign) finishScene(w *worker, p *program, spec string, disk tree, done bool) error {
	err := w.recoverAlone(p, w.scene, disk)
	if err != nil && !isRefusal(err) {
		return err
	}
	if err != nil {
		c.problem(spec, fmt.Sprintf("the recovery: %v", err))
	}
	after, err := w.look()
	if err != nil {
		return err
	}
	c.problems(spec, p.judgeRecovery(disk, after, done))
	return nil
}

// killRecovery recovers from the state and kills the recovery for real, before
// each of its changes in turn (deep: before each of its calls). A third process
// finishes.
func (c *campaign) killRecovery(w *worker, p *program, from state) error {
	if _, there := from.tree.below(p.root); !there {
		return nil
	}
	super, sign := w.changes, ""
	if c.Deep {
		super, sign = w.super, "+"
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
		spec := fmt.Sprintf("kill/%s/%s/%s%d", p.name, numbers(from.path), sign, k)
		c.problems(spec, p.judge(disk, false, false))
		c.count(func(r *Report) { r.NestedKills++ })
		if err := c.finishScene(w, p, spec, disk, false); err != nil {
			return err
		}
	}
}
