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
// each step the world has to be the state of the specification, to the one in which
// the property is false. Names, inodes, locks and their holders, open lock files,
// files and replies are observed; which operation a process is in is known from where
// it stands; used ids are the scheduler's knowledge. Other faults are mutants of the
// library: see internal/bench/mutant.
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
	r.Steps = len(allSteps(c))
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
	for r.Damaged < o.Runs && err == nil && ctx.Err() == nil {
		if r.Damage, err = s.play(c, o.Out); err == nil {
			r.Damaged++
		}
		o.Out = nil
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

// allSteps are those of a behaviour, with its cycle as often as it goes round.
func allSteps(b model.Behaviour) []model.Successor {
	steps := slices.Clone(b.Steps)
	for range rounds {
		steps = append(steps, b.Cycle...)
	}
	return steps
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

// play executes it once: after each step the world is compared with the state. It
// returns what the last step leaves on disk.
func (s *scheduler) play(b model.Behaviour, out io.Writer) (damage string, err error) {
	s.turn = 0 // which call fails, and how
	if err := s.reset(); err != nil {
		return "", environmentError{err}
	}
	var calls []string
	for _, p := range s.procs[1:] {
		p.watch = nil
	}
	if out != nil {
		s.listen(func(_ *process, call string) {
			if !slices.Contains(calls, call) {
				calls = append(calls, call)
			}
		})
	}
	from, last := b.Init, s.words(&b.Init)
	if err := s.compare(&from, &from); err != nil {
		return "", fmt.Errorf("initial state: %w", err)
	}
	row := func(i int, action, disk string) {
		if out == nil {
			return
		}
		line := fmt.Sprintf("%4d  %-26s  %s", i, action, disk)
		if len(calls) > 0 {
			line += "  [" + strings.Join(calls, ", ") + "]"
		}
		fmt.Fprintln(out, line)
		calls = nil
	}
	row(0, "", last)
	for i, step := range allSteps(b) {
		a := &s.table[step.Action]
		if err := s.take(a, &from, &step.State); err != nil {
			return "", fmt.Errorf("step %d, %s: %w", i+1, a, err)
		}
		if err := s.compare(&from, &step.State); err != nil {
			return "", fmt.Errorf("step %d, %s: %w", i+1, a, err)
		}
		disk := s.words(&step.State)
		if disk == last {
			row(i+1, a.String(), "the same")
		} else {
			row(i+1, a.String(), disk)
		}
		from, last, damage = step.State, disk, fmt.Sprintf("%s leaves: %s", a, disk)
	}
	return damage, nil
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
