package proof

import (
	"testing"

	"github.com/crillab/gophersat/solver"
	"github.com/stretchr/testify/assert"
)

// What is made of a question says what the question says.
func TestClausesSayWhatIsAsked(t *testing.T) {
	q := &term{op: opVariable, sort: proc}
	used2, used, unused := used, func(i *term) *term { return used.of(i) }, func(i *term) *term { return not(used.of(i)) }
	apart := func(p, q *term) *term { return implies(equal(idOf.of(p), idOf.of(q)), equal(p, q)) }
	oneID := forall(id, func(i *term) *term { return forall(id, func(j *term) *term { return equal(i, j) }) })
	some := func(f *function, holder *term) []change {
		return f.everywhere(func(i *term) *term {
			return choose(exists(proc, func(q *term) *term { return and(idOf.to(q, i), equal(holds.of(q), holder)) }), yes, f.of(i))
		})
	}
	step := action("Step", "", not(holds.of(p)), lock.set(idOf.of(p), n), some(data, no), some(used2, yes))
	for name, c := range map[string]struct {
		hypotheses []*term
		action     *Action
		conclusion *term
		want       string
	}{
		"nothing":                       {nil, nil, no, "sat"},
		"no":                            {[]*term{no}, nil, no, "unsat"},
		"an element":                    {[]*term{forall(id, used), forall(id, unused)}, nil, no, "unsat"},
		"two elements":                  {[]*term{exists(id, used), exists(id, unused)}, nil, oneID, "sat"},
		"one element":                   {[]*term{exists(id, used), exists(id, unused), oneID}, nil, no, "unsat"},
		"functions of what is the same": {[]*term{equal(i, idOf.of(p)), not(equal(lock.of(i), lock.of(idOf.of(p))))}, nil, no, "unsat"},
		"predicates of the same":        {[]*term{equal(i, idOf.of(p)), used(i), unused(idOf.of(p))}, nil, no, "unsat"},
		"values of the same":            {[]*term{equal(p, q), in(p, "idle"), in(q, "live")}, nil, no, "unsat"},
		"one value":                     {[]*term{in(p, "idle"), in(p, "live")}, nil, no, "unsat"},
		"some value":                    {[]*term{not(in(p, "idle"))}, nil, not(in(p, placesBut("idle"))), "sat"},
		"no other value":                {[]*term{not(in(p, "idle"))}, nil, in(p, placesBut("idle")), "unsat"},
		"the same value":                {[]*term{equal(pc.of(p), pc.of(q)), in(p, "live")}, nil, in(q, "live"), "unsat"},
		"another value":                 {[]*term{not(equal(pc.of(p), pc.of(q))), in(p, "live"), in(q, "live")}, nil, no, "unsat"},
		"the same as the same":          {[]*term{equal(idOf.of(p), i), equal(i, idOf.of(q))}, nil, equal(idOf.of(p), idOf.of(q)), "unsat"},
		"not the same as another":       {[]*term{equal(idOf.of(p), i), not(equal(i, idOf.of(q)))}, nil, equal(idOf.of(p), idOf.of(q)), "sat"},
		"the same, whichever comes first": {nil, nil, forall(id, func(i *term) *term {
			return eachTwo(id, func(j, k *term) *term {
				return and(implies(and(equal(i, j), equal(j, k)), equal(i, k)), implies(and(equal(i, j), equal(i, k)), equal(j, k)), implies(and(equal(i, k), equal(j, k)), equal(i, j)))
			})
		}), "unsat"},
		"the same truth":                 {[]*term{equal(used(i), data.of(i)), used(i)}, nil, data.of(i), "unsat"},
		"no truth":                       {[]*term{equal(used(i), data.of(i)), unused(i), data.of(i)}, nil, no, "unsat"},
		"two things of a step":           {[]*term{not(data.of(i)), unused(i)}, step, not(and(data.next.of(i), used2.next.of(i))), "sat"},
		"another truth":                  {[]*term{not(equal(used(i), data.of(i))), used(i), data.of(i)}, nil, no, "unsat"},
		"one to one":                     {[]*term{eachTwo(proc, apart), oneID}, nil, eachTwo(proc, func(p, q *term) *term { return equal(p, q) }), "unsat"},
		"names of two parts":             {[]*term{or(exists(id, used), exists(id, func(i *term) *term { return data.of(i) })), forall(id, unused)}, nil, exists(id, func(i *term) *term { return data.of(i) }), "unsat"},
		"names of both parts":            {[]*term{exists(id, used), exists(id, unused), or(exists(id, used), exists(id, unused))}, nil, no, "sat"},
		"names of parts for each":        {[]*term{creator.of(p), not(creator.of(q)), forall(proc, func(p *term) *term { return choose(creator.of(p), exists(id, used), exists(id, unused)) })}, nil, no, "unknown"},
		"something for each":             {[]*term{forall(proc, func(p *term) *term { return exists(id, func(i *term) *term { return idOf.to(p, i) }) })}, nil, no, "unknown"},
		"something for each, not needed": {[]*term{forall(proc, func(p *term) *term { return exists(id, func(i *term) *term { return idOf.to(p, i) }) }), no}, nil, no, "unsat"},
		"a step changes":                 {nil, step, and(lock.has.next.of(idOf.of(p)), equal(lock.val.next.of(idOf.of(p)), n)), "unsat"},
		"a step leaves":                  {[]*term{lock.is(i), not(equal(i, idOf.of(p)))}, step, and(lock.has.next.of(i), equal(lock.val.next.of(i), lock.of(i))), "unsat"},
		"a step changes no more":         {nil, step, lock.has.next.of(i), "sat"},
		"no step":                        {[]*term{holds.of(p)}, step, no, "unsat"},
		"a step where something is":      {[]*term{idOf.to(q, i), not(holds.of(q))}, step, data.next.of(i), "unsat"},
		"a step where nothing is":        {[]*term{forall(proc, func(q *term) *term { return not(idOf.to(q, i)) }), not(data.of(i))}, step, not(data.next.of(i)), "unsat"},
		"a step where two things are": {[]*term{not(data.of(i))}, step, forall(id, func(j *term) *term {
			return or(equal(i, j), data.of(j), not(and(data.next.of(i), data.next.of(j))))
		}), "sat"},
		"a step of two places": {[]*term{idOf.to(p, i)}, step, forall(id, func(j *term) *term { return data.next.of(j) }), "sat"},
	} {
		t.Run(name, func(t *testing.T) {
			exists := func(t *term) *term { return &term{op: opExists, sort: boolean, args: []*term{q, t}} }
			asked := not(c.conclusion)
			for _, h := range c.hypotheses {
				asked = and(h, asked)
			}
			clauses, exact := Obligation{question: &question{nil, c.action, not(exists(asked))}}.Ground()
			want := map[bool]string{true: "sat", false: "unknown"}[exact]
			if solver.New(solver.ParseSlice(clauses)).Solve() == solver.Unsat {
				want = "unsat"
			}
			assert.Equal(t, c.want, want)
		})
	}
}

func placesBut(but string) (places string) {
	for _, name := range place.values {
		if name != but {
			places += " " + name
		}
	}
	return places
}
