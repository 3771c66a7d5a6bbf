//go:build linux

package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/model"
)

// edges is the kind of the schedules of [Replay].
const edges = "conformance"

// written is the schedule of a walk: the model, and the index of each edge among
// those that leave its state; with the edge of a failing call, which call fails,
// and how.
func written(g *model.Graph, name string, w walk, choices []int) string {
	how := schedule.Schedule{Kind: edges, Program: name}
	state := 0
	for _, k := range w {
		step := schedule.Step{Count: int(k)}
		e := g.Out(state)[k]
		if g.Actions[e.Action].Slot == "CallFails" && len(choices) > 0 {
			step.End, step.How = schedule.Stopped, strconv.Itoa(choices[0])
			choices = choices[1:]
		}
		how.Steps = append(how.Steps, step)
		state = int(e.To)
	}
	return how.String()
}

// shortened looks for a shorter walk that fails too: a shortest one to where
// this one failed, or this one up to where there is a difference first.
func (r *run) shortened(s *scheduler, w walk, at, edge int, failure error) *Divergence {
	state := endOf(r.g, w[:at])
	short, long := shortest(r.g, state), slices.Clone(w[:at])
	choices := slices.Clone(s.choices)
	if edge >= 0 {
		short, long = append(short, uint16(edge)), append(long, uint16(edge))
	}
	again := run{m: r.m, g: r.g, visited: make([]atomic.Bool, r.g.States())} // and compare after each step
	for _, w2 := range []walk{short, long} {
		if len(choices) > 0 {
			s.turn = choices[len(choices)-1] // the call that may have been what failed
		}
		again.tryOnly(state)
		if at2, edge2, err := again.walk(s, w2); err != nil && !isEnvironment(err) {
			w, at, edge, failure, choices = w2, at2, edge2, err, s.choices
			break
		}
	}
	d := &Divergence{Model: r.m.Name, Step: at, Reason: failure.Error()}
	if edge >= 0 {
		d.Step, d.Action = at+1, r.g.Actions[r.g.Out(endOf(r.g, w[:at]))[edge].Action].String()
	}
	d.Schedule = written(r.g, r.m.Name, w[:d.Step], choices)
	return d
}

// Replay executes one schedule in a directory, writes what happens at each step,
// and returns a [DifferenceError] if the code differs from the specification, or a
// [*schedule.Error] if the text is no schedule. Any other error is about the
// machine, or the context's.
func Replay(ctx context.Context, text, dir string, out io.Writer) error {
	how, err := schedule.Parse(text)
	if err != nil {
		return err
	}
	m := model.Find(how.Program)
	switch {
	case how.Kind != edges || len(how.Losses) > 0:
		return how.Refuse("expected %s:MODEL/EDGES", edges)
	case how.World != "":
		return replayFleet(ctx, how, dir, out)
	case m == nil || m.Protocol == nil:
		return how.Refuse("no model of the protocol is called %q", how.Program)
	}
	if len(m.Protocol.Mounted) > 0 {
		if reason, err := skippedBy(dir); err != nil || reason != "" {
			return errors.Join(err, how.Refuse("%s", reason))
		}
	}
	g, err := m.Graph(ctx, model.Options{})
	if err != nil {
		return err
	}
	w, choices, err := walkOf(how, g)
	if err != nil {
		return err
	}
	s, done, err := open(dir, m)
	if err != nil {
		return err
	}
	failure := s.replay(g, w, choices, out)
	if err := done(); err != nil {
		return err
	}
	if failure != nil && !isEnvironment(failure) {
		failure = DifferenceError{failure}
	}
	return failure
}

// walkOf is the walk of a schedule, and which call of a step fails, and how; -1:
// whichever is next.
func walkOf(how *schedule.Schedule, g *model.Graph) (w walk, choices []int, err error) {
	state := 0
	for i, step := range how.Steps {
		out := g.Out(state)
		if step.Process != 0 || step.Count >= len(out) {
			return nil, nil, how.Refuse("step %d: the state has %d edges, and no edge %v", i+1, len(out), step)
		}
		choice := -1
		if step.How != "" {
			choice, _ = strconv.Atoi(step.How)
		}
		w, choices = append(w, uint16(step.Count)), append(choices, choice)
		state = int(out[step.Count].To)
	}
	return w, choices, nil
}

// replay takes a walk with every call written out.
func (s *scheduler) replay(g *model.Graph, w walk, choices []int, out io.Writer) error {
	var calls []string
	s.listen(func(_ *process, call string) { calls = append(calls, call) })
	s.wanted, s.took = choices, func(a *step) {
		fmt.Fprintf(out, "%4d %-22s %s\n", s.step+1, a, strings.Join(calls, ", "))
		calls = nil
	}
	r := &run{g: g, visited: make([]atomic.Bool, g.States())}
	r.tryOnly(endOf(g, w))
	_, _, err := r.walk(s, w)
	if err == nil {
		var names []string
		if names, err = s.leaked(); len(names) > 0 {
			err = errors.New(leak(names))
		}
	}
	return err
}

// tryOnly has the disabled actions tried in this state alone.
func (r *run) tryOnly(state int) {
	for i := range r.visited {
		r.visited[i].Store(i != state)
	}
}

// endOf is the state that a walk leads to.
func endOf(g *model.Graph, w walk) (state int) {
	for _, k := range w {
		state = int(g.Out(state)[k].To)
	}
	return state
}
