package model

import "context"

// PlantDifference checks a model of the protocol with one action changed: in
// the states that spares wants, the action does nothing. It returns the report
// with its digest. The change is in Go only, so the digest has to tell.
func PlantDifference(ctx context.Context, m *Model, slot string, spares func(s *State, p uint8) bool) (*Report, error) {
	changed := *m
	sys := newProtocol(*m.Protocol, m.Formula, m.Symmetry, m.Properties)
	for i, a := range sys.table {
		if a.Slot == slot {
			do := a.do
			sys.table[i].do = func(t *step, p, i uint8) {
				if !spares(&t.s, p) {
					do(t, p, i)
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
