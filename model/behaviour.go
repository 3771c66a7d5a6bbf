package model

import "fmt"

// A Behaviour is a counterexample of a model of the protocol, for those who
// execute it.
type Behaviour struct {
	Init  State
	Steps []Successor // to the last state of the counterexample, or to where the cycle begins
	// Of a property about whole behaviours: Cycle is what goes round after
	// Steps, and ends where it begins. If it is empty, nothing happens any more.
	Endless bool
	Cycle   []Successor
}

// Behaviour returns the counterexample as states and steps. For other modules
// than the protocol ok is false.
func (c *Counterexample) Behaviour() (b Behaviour, ok bool) {
	if _, ok = c.sys.(*Protocol); !ok {
		return b, false
	}
	unpack(c.steps[0].To, &b.Init)
	for _, step := range c.steps[1:] {
		b.Steps = append(b.Steps, successor(step))
	}
	if b.Endless = c.Loop != nil; b.Endless && *c.Loop > 0 {
		begin := *c.Loop - 1 // step i leads to state i+1 of States, from 0
		b.Cycle = append(b.Steps[begin:len(b.Steps):len(b.Steps)], successor(c.back))
		b.Steps = b.Steps[:begin:begin]
	}
	return b, true
}

func successor(step Step) (s Successor) {
	s.Action = step.Action
	unpack(step.To, &s.State)
	return s
}

// Holds says whether a property of the specification holds in a state of the
// model and for the step that led to it from another, whoever found the two.
// Of GoneInTheEnd it says whether every id is gone.
func (m *Model) Holds(property string, from, to State) (holds bool, err error) {
	if m.Protocol == nil {
		return false, fmt.Errorf("%s is no model of the protocol", m.Name)
	}
	defer func() {
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%v", reason)
		}
	}()
	p := newProtocol(*m.Protocol, noScheme, m.Formula, "", []string{property})
	switch {
	case property == goneInTheEnd:
		for i := ID(1); i <= p.ids; i++ {
			if !to.gone(i) {
				return false, nil
			}
		}
		return true, nil
	case len(p.steps) > 0:
		return p.steps[0].holds(nil, &from, &to), nil
	}
	return p.invariants[0].holds(&to), nil
}
