//go:build linux

package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/model"
)

// rounds is how often the cycle of a counterexample goes round that has one.
const rounds = 3

// Counterexamples are the models of the protocol that must fail and are replayed:
// all of them but those in which upstream's code runs in a process of ours ([Fleet]
// takes those), and those with a step that is none of a process's here.
func Counterexamples() (names []string) {
	for _, m := range model.Models() {
		if m.Kind == "mustfail" && m.Protocol != nil && isReplayed(m) {
			names = append(names, m.Name)
		}
	}
	return names
}

func isReplayed(m *model.Model) bool {
	_, err := steps(m.Protocol, m.Actions())
	return err == nil && (len(m.Protocol.Upstream) == 0 || m.Protocol.Pid == "Apart")
}

// ReplayCounterexample executes the counterexample of a model that must fail, on
// the file system of a directory, as often as it is told to. Where the fault is
// upstream's code, or that we do not heed it, the code that there is does it: after
// each step the world has to be the state of the specification, and in the end the
// property has to be false of the world as it was observed. Names, inodes, locks and
// their holders, open lock files, files and replies are observed; which operation a
// process is in is known from where it stands; used ids are the scheduler's
// knowledge. Other faults are mutants of the library: see internal/bench/mutant.
//
// Then the unmodified library takes the same schedule.
//
// With out, the first run is written as a table. The error is the context's, or
// says that the name or the directory cannot be used.
func ReplayCounterexample(ctx context.Context, o CounterexampleOptions) (r CounterexampleReport, err error) {
	m := model.Find(o.Model)
	if m == nil || m.Protocol == nil || m.Kind != "mustfail" || !isReplayed(m) {
		return r, &schedule.Error{Text: "counterexample:" + o.Model, Reason: "no model of the protocol that must fail, and is replayed, is called that"}
	}
	r = CounterexampleReport{Model: m.Name, Property: m.Properties[0], Runs: o.Runs}
	if len(m.Protocol.Mounted) > 0 {
		if r.Skipped, err = skippedBy(o.Dir); err != nil || r.Skipped != "" {
			return r, err
		}
	}
	c, err := counterexampleOf(ctx, m)
	if err != nil {
		return r, err
	}
	r.Steps = len(c.Steps) + rounds*len(c.Cycle)
	begin := time.Now()
	if r.Mutant = len(m.Protocol.Swap) > 0 || m.Protocol.LockKind != "ofd"; !r.Mutant {
		if err := r.demonstrate(ctx, m, c, o); err != nil {
			return r, err
		}
		o.Out = nil
	}
	ours := *m.Protocol
	ours.Swap, ours.Upstream, ours.Repaired, ours.LockKind = nil, nil, nil, "ofd"
	r.Ours, err = survive(m, ours, c, o)
	r.Elapsed = time.Since(begin)
	return r, err
}

// demonstrate does the damage.
func (r *CounterexampleReport) demonstrate(ctx context.Context, m *model.Model, c model.Behaviour, o CounterexampleOptions) error {
	s, done, err := open(o.Dir, m)
	if err != nil {
		return err
	}
	d := &demonstration{scheduler: s, m: m, Behaviour: c, out: o.Out}
	for r.Damaged < o.Runs && err == nil && ctx.Err() == nil {
		var damage string
		if damage, err = d.run(); err == nil {
			r.Damage = damage
			r.Damaged++
		}
		d.out = nil
	}
	failed := done()
	if isEnvironment(err) {
		return err
	}
	if err != nil {
		r.Difference = err.Error()
	}
	return errors.Join(failed, ctx.Err())
}

func counterexampleOf(ctx context.Context, m *model.Model) (b model.Behaviour, err error) {
	find := m.Refute
	if m.Properties[0] == "GoneInTheEnd" {
		find = func(ctx context.Context, o model.Options) (*model.Report, error) { return m.Check(ctx, o, false) }
	}
	r, err := find(ctx, model.Options{})
	if err != nil {
		return b, err
	}
	if r.Counterexample == nil {
		return b, fmt.Errorf("%s is not refuted", m.Name)
	}
	b, _ = r.Counterexample.Behaviour()
	return b, nil
}

// A demonstration executes one counterexample.
type demonstration struct {
	*scheduler
	m *model.Model
	model.Behaviour
	out   io.Writer
	calls []string
	last  string // what was on disk at the last row
}

// run executes it once, and returns the damage.
func (d *demonstration) run() (damage string, err error) {
	d.turn = 0 // which call fails, and how
	if err := d.reset(); err != nil {
		return "", environmentError{err}
	}
	for _, p := range d.procs[1:] {
		p.watch = nil
	}
	if d.out != nil {
		d.listen(func(_ *process, call string) {
			if !slices.Contains(d.calls, call) {
				d.calls = append(d.calls, call)
			}
		})
	}
	from := d.Init
	if err := d.compare(&from, &from); err != nil {
		return "", fmt.Errorf("initial state: %w", err)
	}
	if err := d.row(0, "", &from); err != nil {
		return "", err
	}
	steps := d.Steps
	for range rounds {
		steps = append(steps[:len(steps):len(steps)], d.Cycle...)
	}
	before := from
	for i, step := range steps {
		a := &d.table[step.Action]
		d.calls = nil
		err := d.take(a, &from, &step.State)
		if err == nil {
			err = d.compare(&from, &step.State)
		}
		if err != nil {
			return "", fmt.Errorf("step %d, %s: %w", i+1, a, err)
		}
		if err := d.row(i+1, a.String(), &step.State); err != nil {
			return "", err
		}
		if i < len(steps)-1 && (d.out == nil || d.Endless) {
			before, from = d.known(i, len(steps), &step.State, before), step.State
			continue
		}
		seen, err := d.observed(&step.State)
		if err != nil {
			return "", err
		}
		holds, err := d.m.Holds(d.m.Properties[0], before, seen)
		if err != nil {
			return "", err
		}
		if want := i < len(steps)-1; holds != want {
			return "", fmt.Errorf("step %d, %s: %s holds in the observed world: %t", i+1, a, d.m.Properties[0], holds)
		}
		if i == len(steps)-1 && !d.Endless {
			return d.damage(&before, &seen, a), nil
		}
		before, from = seen, step.State
	}
	if d.Endless {
		return d.endless(&from)
	}
	return "", fmt.Errorf("no step")
}

// known is the observed world before the last step, of which a property of
// steps speaks; before that nobody asks.
func (d *demonstration) known(i, steps int, state *model.State, before model.State) model.State {
	if i < steps-2 {
		return before
	}
	if seen, err := d.observed(state); err == nil {
		return seen
	}
	return before
}

// endless lets everybody go on who can, if the counterexample says that nothing
// happens any more: nothing may change. In the end something has to be left.
func (d *demonstration) endless(state *model.State) (damage string, err error) {
	if len(d.Cycle) == 0 {
		d.calls = nil
		for range rounds {
			for _, p := range d.procs[1:] {
				if p.creator || p.at.Place != atIdle {
					continue
				}
				p.free, p.order = true, order{Op: opRecover}
				err := p.resume()
				p.free = false
				if err != nil {
					return "", err
				}
			}
		}
		if err := d.compare(state, state); err != nil {
			return "", fmt.Errorf("nothing should happen any more: %w", err)
		}
		if err := d.row(len(d.Steps)+1, "everybody recovers", state); err != nil {
			return "", err
		}
	}
	seen, err := d.observed(state)
	if err != nil {
		return "", err
	}
	if holds, err := d.m.Holds(d.m.Properties[0], seen, seen); err != nil || holds {
		return "", fmt.Errorf("%s holds in the observed world: %t (%v)", d.m.Properties[0], holds, err)
	}
	return d.damage(&seen, &seen, nil), nil
}

// row writes one row of the table: who does what, and what is on disk.
func (d *demonstration) row(i int, action string, state *model.State) error {
	if d.out == nil {
		return nil
	}
	seen, err := d.observed(state)
	if err != nil {
		return err
	}
	disk := d.words(&seen)
	shown := disk
	if disk == d.last && i > 0 {
		shown = "the same"
	}
	d.last = disk
	line := fmt.Sprintf("%4d  %-26s  %s", i, action, shown)
	if len(d.calls) > 0 {
		line += "  [" + strings.Join(d.calls, ", ") + "]"
	}
	_, err = fmt.Fprintln(d.out, strings.TrimRight(line, " "))
	return err
}
