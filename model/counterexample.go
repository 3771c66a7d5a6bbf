package model

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Counterexample is a behaviour that breaks a property.
type Counterexample struct {
	Columns []string     `json:"columns"` // one for each process, one for all else
	States  []TraceState `json:"states"`  // from the initial one
	// Loop says, of a property about whole behaviours, how it goes on: the
	// index from 1 of the state that the last one goes back to, or 0 if nothing
	// happens any more. LoopBy is the action that leads back.
	Loop   *int   `json:"loop,omitempty"`
	LoopBy string `json:"loop_by,omitempty"`

	sys   system
	steps []Step // to each of States
	back  Step   // LoopBy
}

// A TraceState is one state of a counterexample.
type TraceState struct {
	Action string   `json:"action,omitempty"` // that led to it
	Cells  []string `json:"cells"`            // what it changed, first what there is
	Text   string   `json:"text"`             // canonical
}

func newCounterexample(sys system) *Counterexample {
	return &Counterexample{Columns: append(slices.Clone(sys.processes()), "disk"), sys: sys}
}

// add adds a state, and the action that led to it, or noAction.
func (c *Counterexample) add(sys system, action int, k Key) {
	state, before := TraceState{Text: sys.text(k)}, ""
	if len(c.States) > 0 {
		before = c.States[len(c.States)-1].Text
	}
	state.Cells = words(state.Text, before, sys.processes())
	if action != noAction {
		state.Action = sys.actions()[action].String()
	}
	c.States = append(c.States, state)
	c.steps = append(c.steps, Step{To: k, Action: uint16(action)})
}

const noAction = -1

// counterexample is the path to the first broken property. It is a shortest
// one.
func (e *exploration) counterexample() *Counterexample {
	c := newCounterexample(e.sys)
	var path []Key
	for at := e.broken.at; at != noNode; at = e.store.parent(at) {
		path = append(path, e.store.key(at))
	}
	slices.Reverse(path)
	if e.broken.isStep {
		path = append(path, e.broken.step.To)
	}
	// With symmetry each state of the path stands for a class, and each step
	// starts in the state that the step before it led to.
	class := func(k Key) Key { return k }
	x := e.sys.newExpander()
	if m, ok := e.sys.(*Protocol); ok && len(m.symmetry) > 0 {
		plain := *m
		plain.key = pack
		x = plain.newExpander()
		class = func(k Key) Key {
			var s State
			unpack(k, &s)
			return m.canonical(&s)
		}
	}
	at := path[0]
	c.add(e.sys, noAction, at)
	for _, next := range path[1:] {
		steps, _ := x.expand(at, nil)
		step := steps[slices.IndexFunc(steps, func(s Step) bool { return class(s.To) == next })]
		at = step.To
		c.add(e.sys, int(step.Action), at)
	}
	return c
}

// counterexample of a lasso: a shortest path to where it starts, and the cycle.
func (g *Graph) counterexample(l *lasso) *Counterexample {
	c := newCounterexample(g.sys)
	c.add(g.sys, noAction, g.keys[0])
	for _, edge := range g.Path(l.state) {
		c.add(g.sys, int(edge.Action), g.keys[edge.To])
	}
	back := 0
	if len(l.cycle) > 0 {
		back = len(c.States)
		last := len(l.cycle) - 1
		for _, edge := range l.cycle[:last] {
			c.add(g.sys, int(edge.Action), g.keys[edge.To])
		}
		c.LoopBy = g.Actions[l.cycle[last].Action].String()
		c.back = Step{To: g.keys[l.cycle[last].To], Action: l.cycle[last].Action}
	}
	c.Loop = &back
	return c
}

// WriteTo writes the counterexample as a table: a line for each state, with the
// action that led to it and what it changed, one column for each process and one for
// the disk and all else.
func (c *Counterexample) WriteTo(w io.Writer) (int64, error) {
	rows := [][]string{append([]string{"", "action"}, c.Columns...)}
	for i, s := range c.States {
		rows = append(rows, append([]string{fmt.Sprint(i + 1), s.Action}, s.Cells...))
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for j, cell := range row {
			widths[j] = max(widths[j], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := ""
		for j, cell := range row {
			line += cell + strings.Repeat(" ", widths[j]-utf8.RuneCountInString(cell)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	switch {
	case c.Loop == nil:
	case *c.Loop == 0:
		b.WriteString("and then nothing, for ever\n")
	default:
		fmt.Fprintf(&b, "then %s, and so on for ever, from state %d\n", c.LoopBy, *c.Loop)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// Trace is steps from a state as a counterexample has them, whoever found them.
func (m *Protocol) Trace(s State, steps ...Successor) *Counterexample {
	c := newCounterexample(m)
	c.add(m, noAction, pack(&s))
	for i := range steps {
		c.add(m, int(steps[i].Action), pack(&steps[i].State))
	}
	return c
}
