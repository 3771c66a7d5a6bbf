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
	Columns []string     `json:"columns"` // one for each process, one for the disk
	States  []TraceState `json:"states"`  // from the initial one
	// Loop says, of a property about whole behaviours, how it goes on: the
	// index from 1 of the state that the last one goes back to, or 0 if nothing
	// happens any more. LoopBy is the action that leads back.
	Loop   *int   `json:"loop,omitempty"`
	LoopBy string `json:"loop_by,omitempty"`
}

// A TraceState is one state of a counterexample.
type TraceState struct {
	Action string   `json:"action,omitempty"` // that led to it
	Cells  []string `json:"cells"`
	Text   string   `json:"text"` // canonical
}

func (c *Counterexample) add(sys system, action string, k Key) {
	c.States = append(c.States, TraceState{Action: action, Cells: sys.cells(k), Text: sys.text(k)})
}

// counterexample is the path to the first broken property. It is a shortest
// one.
func (e *exploration) counterexample() *Counterexample {
	c := &Counterexample{Columns: e.sys.columns()}
	var path []node
	for at := e.broken.at; at != noNode; at = e.store.parent(at) {
		path = append(path, at)
	}
	slices.Reverse(path)
	c.add(e.sys, "", e.store.key(path[0]))
	x, actions := e.sys.newExpander(), e.sys.actions()
	for i, at := range path[1:] {
		k := e.store.key(at)
		steps, _ := x.expand(e.store.key(path[i]), nil)
		by := slices.IndexFunc(steps, func(s Step) bool { return s.To == k })
		c.add(e.sys, actions[steps[by].Action].String(), k)
	}
	if e.broken.isStep {
		c.add(e.sys, actions[e.broken.step.Action].String(), e.broken.step.To)
	}
	return c
}

// counterexample of a lasso: a shortest path to where it starts, and the cycle.
func (g *Graph) counterexample(l *lasso) *Counterexample {
	c := &Counterexample{Columns: g.sys.columns()}
	c.add(g.sys, "", g.keys[0])
	for _, edge := range g.Path(l.state) {
		c.add(g.sys, g.Actions[edge.Action].String(), g.keys[edge.To])
	}
	back := 0
	if len(l.cycle) > 0 {
		back = len(c.States)
		last := len(l.cycle) - 1
		for _, edge := range l.cycle[:last] {
			c.add(g.sys, g.Actions[edge.Action].String(), g.keys[edge.To])
		}
		c.LoopBy = g.Actions[l.cycle[last].Action].String()
	}
	c.Loop = &back
	return c
}

// WriteTo writes the counterexample as a table: a line for each state, with the
// action that led to it, one column for each process and one for the disk. A
// cell that has not changed is empty.
func (c *Counterexample) WriteTo(w io.Writer) (int64, error) {
	rows := [][]string{append([]string{"", "action"}, c.Columns...)}
	for i, s := range c.States {
		cells := slices.Clone(s.Cells)
		if i > 0 {
			for j, cell := range c.States[i-1].Cells {
				if cells[j] == cell {
					cells[j] = ""
				}
			}
		}
		rows = append(rows, append([]string{fmt.Sprint(i + 1), s.Action}, cells...))
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
