package model

import (
	"context"
	"slices"
	"strings"
)

// PlantDifference checks a model of the protocol with one action changed: in
// the states that spares wants, the action does nothing. It returns the report
// with its digest. The change is in Go only, so the digest has to tell.
func PlantDifference(ctx context.Context, m *Model, slot string, spares func(s *State, p uint8) bool) (*Report, error) {
	changed := *m
	sys := newProtocol(*m.Protocol, noScheme, m.Formula, m.Symmetry, m.Properties)
	for i, a := range sys.table {
		if a.Slot == slot {
			do := sys.do[i]
			sys.do[i] = func(t *step) {
				if !spares(&t.s, a.p) {
					do(t)
				}
			}
		}
	}
	e, err := explore(ctx, sys, Options{})
	if err != nil {
		return nil, err
	}
	g, err := e.graph(ctx, 0)
	if err != nil {
		return nil, err
	}
	d, err := g.Digest(ctx, 0)
	return &Report{Model: changed.Name, Verdict: Holds, Distinct: e.distinct(), Generated: e.generated,
		Depth: len(e.levels), Digest: &d}, err
}

// PackedAndBack is unpack(pack(s)).
func PackedAndBack(s State) (t State) {
	unpack(pack(&s), &t)
	return t
}

// RefuteWithout is Refute of a model with one branch of one action deleted: it
// takes no step that leads from one place to the other. What changes, the place, is
// a variable of a process or of all, as the canonical text of a state has it.
func RefuteWithout(ctx context.Context, m *Model, slot, variable, from, to string) (*Report, error) {
	sys := m.system()
	e, err := explore(ctx, pruned{sys, func(k Key, s Step) bool {
		a := &sys.actions()[s.Action]
		return a.Slot == slot && (from == "*" || valueIn(sys.text(k), variable, a.Args) == from) &&
			(to == "*" || valueIn(sys.text(s.To), variable, a.Args) == to)
	}}, Options{StopAtFirst: true})
	if err != nil {
		return nil, err
	}
	r := &Report{Model: m.Name, Verdict: Holds}
	if e.broken != nil {
		r.refuted(e.broken.property, e.counterexample())
	}
	return r, nil
}

// valueIn is the value of a variable, or of the part that the first argument names.
func valueIn(text, variable string, arguments []string) string {
	_, text, _ = strings.Cut("\n"+text, "\n"+variable+"=")
	text, _, _ = strings.Cut(text, "\n")
	if len(arguments) > 0 && strings.HasPrefix(text, "[") {
		_, text, _ = strings.Cut(strings.ReplaceAll(text, "[", ","), ","+arguments[0]+"->")
		text, _, _ = strings.Cut(text, ",")
	}
	return strings.Trim(text, `"]`)
}

type pruned struct {
	system
	isDeleted func(from Key, s Step) bool
}

func (p pruned) newExpander() expander { return prunedExpander{p.system.newExpander(), p.isDeleted} }

type prunedExpander struct {
	expander
	isDeleted func(from Key, s Step) bool
}

func (p prunedExpander) expand(k Key, out []Step) ([]Step, uint8) {
	out, broken := p.expander.expand(k, out)
	return slices.DeleteFunc(out, func(s Step) bool { return p.isDeleted(k, s) }), broken
}
