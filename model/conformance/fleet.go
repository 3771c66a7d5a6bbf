//go:build linux

package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/model"
)

// Fleets are the models of fleets of ours and upstream's that [Fleet] takes walks of.
func Fleets() (names []string) {
	for _, m := range model.Models() {
		if isFleet(m) && (m.Kind == "gate" || m.Kind == "mustfail") {
			names = append(names, m.Name)
		}
	}
	return names
}

func isFleet(m *model.Model) bool {
	return m != nil && m.Protocol != nil && m.Symmetry == "" && len(m.Protocol.Upstream) > 0 && len(m.Protocol.Upstream) < len(procNames(m.Protocol))
}

// Fleet runs the unmodified library beside upstream's code, which is somewhere:
// walks that together cover the graph of a mixed model say who goes on, whose call
// fails and who is killed, each time one call; of a model that must fail, the
// counterexample. Where the library does not do what the model does, or upstream is
// in another place, the walk is only a schedule; so there is no state to compare
// with, and after each step it is asked of the disk whether anything live was
// lost. Of the walks every n-th is taken.
//
// The error is the context's, or about the machine.
func Fleet(ctx context.Context, o Options, where Where, n int) (report FleetReport, err error) {
	f, err := newFleet(ctx, o.Model, o.Dir, where)
	if err != nil || f.skipped != "" {
		return FleetReport{Skipped: f.skipped}, err
	}
	return f.sail(ctx, n)
}

// sail takes every n-th walk until something is lost, and ends the fleet.
func (f *fleet) sail(ctx context.Context, n int) (report FleetReport, err error) {
	begin := time.Now()
	next := newPlanner(f.g).next
	if w := f.counterexample; w != nil {
		next = func() (last walk) { last, w = w, nil; return last }
	}
	for i := 0; report.Lost == "" && err == nil && ctx.Err() == nil; i++ {
		w := next()
		if w == nil {
			break
		}
		if i%n != 0 {
			continue
		}
		report.Walks++
		report.Steps += int64(len(w))
		f.followed = 0
		if report.Lost, err = f.run(f.behaviour(w)); report.Lost != "" {
			how := schedule.Schedule{Kind: edges, Program: f.name, World: string(f.where)}
			for _, k := range w {
				how.Steps = append(how.Steps, schedule.Step{Count: int(k)})
			}
			report.Schedule = how.String()
		}
		report.Followed += int64(f.followed)
	}
	if failed := f.done(); err == nil {
		err = failed
	}
	if err == nil {
		err = ctx.Err()
	}
	report.Elapsed = time.Since(begin)
	return report, err
}

// A fleet is a survivor of walks.
type fleet struct {
	*survivor
	name  string
	where Where
	g     *model.Graph
	done  func() error

	counterexample walk // of a model that must fail
	skipped        string
}

// graceForUpstream is longer than any walk takes.
const graceForUpstream = time.Hour

func newFleet(ctx context.Context, name, dir string, where Where) (f *fleet, err error) {
	f = &fleet{name: name, where: where}
	m := model.Find(name)
	if !isFleet(m) {
		return f, &schedule.Error{Text: edges + ":" + name, Reason: "no model of a mixed fleet is called that"}
	}
	if f.g, err = m.Graph(ctx, model.Options{}); err != nil {
		return f, err
	}
	if m.Kind == "mustfail" {
		if f.counterexample, err = counterexampleWalk(ctx, m, f.g); err != nil {
			return f, err
		}
	}
	table, err := steps(m.Protocol, m.Actions())
	if err != nil {
		return f, err
	}
	there := *m
	protocol := *m.Protocol
	there.Protocol, protocol.Swap = &protocol, nil
	if protocol.Pid = "Apart"; where == Together {
		protocol.Pid = "Together"
	}
	s, done, err := openWith(dir, &there, where)
	if err != nil {
		return f, err
	}
	for _, p := range s.procs[1:] {
		p.grace = graceForUpstream
	}
	f.survivor, f.done = &survivor{scheduler: s, schedule: table}, done
	if err := s.reset(); err != nil { // the first start of a process
		_ = done()
		if cause := unix.Errno(0); errors.As(err, &cause) && (cause == unix.EPERM || cause == unix.ENOSPC || cause == unix.EINVAL) {
			f.skipped = fmt.Sprintf("no process can be started %s (%v)", where.Words(), cause)
			return f, nil
		}
		return f, err
	}
	return f, nil
}

// counterexampleWalk is the counterexample as a walk.
func counterexampleWalk(ctx context.Context, m *model.Model, g *model.Graph) (w walk, err error) {
	b, err := counterexampleOf(ctx, m)
	state := 0
	for _, step := range b.Steps {
		k := slices.IndexFunc(g.Out(state), func(e model.Edge) bool {
			to, _ := g.State(int(e.To))
			return e.Action == step.Action && to == step.State
		})
		if k < 0 {
			return nil, fmt.Errorf("%s: the counterexample is no walk", m.Name)
		}
		w, state = append(w, uint16(k)), int(g.Out(state)[k].To)
	}
	return w, err
}

// behaviour is the walk as steps.
func (f *fleet) behaviour(w walk) (b model.Behaviour) {
	state := 0
	for _, k := range w {
		e := f.g.Out(state)[k]
		state = int(e.To)
		to, _ := f.g.State(state)
		b.Steps = append(b.Steps, model.Successor{Action: e.Action, State: to})
	}
	return b
}

// replayFleet plays one walk with every call written out.
func replayFleet(ctx context.Context, how *schedule.Schedule, dir string, out io.Writer) error {
	where := Where(how.World)
	if !slices.Contains(Wheres, where) {
		return how.Refuse("no place of upstream is called %q; there are %v", where, Wheres)
	}
	f, err := newFleet(ctx, how.Program, dir, where)
	if err != nil {
		return err
	}
	if f.skipped != "" {
		return how.Refuse("%s", f.skipped)
	}
	w, _, err := walkOf(how, f.g)
	if err != nil {
		_ = f.done()
		return err
	}
	f.listen(func(p *process, call string) { fmt.Fprintf(out, "      %s %s\n", p.name, call) })
	f.watch = func(i int, a *step, why string) { fmt.Fprintf(out, "%4d %-22s %s\n", i+1, a, why) }
	lost, err := f.run(f.behaviour(w))
	if failed := f.done(); err == nil {
		err = failed
	}
	if err == nil && lost != "" {
		err = DifferenceError{fmt.Errorf("lost: %s", lost)}
	}
	return err
}
