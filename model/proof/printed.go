package proof

import (
	"fmt"
	"strings"

	"github.com/afterlock/afterlock/model"
)

// A Sample is a question about one possible step of a model, in the words of the
// printed formulas: is it one? The evaluator knows the answer.
type Sample struct {
	Edge bool // the evaluator's answer
	Text string
}

// Samples returns a text that declares the model's world, and questions that follow
// it, each asked between push and pop: as many steps of the model as asked for, and
// as many that are none. The solver answers each question twice: sat, since a world
// is no contradiction, and then unsat, since it is not that the formula is false of a
// step, or true of what is none. Values that say nothing are left open, so that no
// formula depends on them.
func Samples(m *model.Model, g *model.Graph, edges int) (declarations string, all []Sample, err error) {
	b, err := NewBridge(m)
	if err != nil {
		return "", nil, err
	}
	d := &printer{names: map[*term]string{}}
	d.printf("(set-logic ALL)\n")
	bound := b.start.elements()
	d.sorts(bound, func(*sort) bool { return true })
	for _, f := range vocabulary {
		if d.declare(f); f.next != nil {
			d.declare(f.next)
		}
	}
	for _, v := range parameters {
		d.declare(&function{name: v.name, result: v.sort})
	}
	var variables []*function
	for _, f := range vocabulary {
		if !f.rigid {
			variables = append(variables, f)
			continue
		}
		d.facts(b.start, []*function{f}, false)
	}
	none := 0
	for k := 0; len(all) < 2*edges && k < 40*edges; k++ {
		s, _ := g.State(k * 7919 % g.States())
		b.abstract(&s, b.before.s)
		b.before.s.fill(1)
		l := &b.labels[k*31%len(b.labels)]
		if k%3 > 0 { // mostly one that can be taken
			for j := range b.labels {
				if next := &b.labels[(k*31+j)%len(b.labels)]; len(b.take.Take(&s, uint16((k*31+j)%len(b.labels)))) > 0 {
					l = next
					break
				}
			}
		}
		arm := &l.arms[k%len(l.arms)]
		after := newStructure()
		after.size = b.start.size
		taken := false
		var with [16]uint8
		b.each(&s, arm, lowestFree(&s), func() {
			taken, with = true, b.before.variables
			copy(after.values, b.before.n.values)
		})
		if !taken { // what it would be, had it no guard
			free := *arm.stepper
			free.guard = func(*evaluation) uint8 { return 1 }
			free.step(b.before)
			copy(after.values, b.before.n.values)
		}
		if b.abstract(&s, b.before.s); taken {
			b.before.variables = with
		}
		if taken && k%2 == 0 { // the step, but for one process that is somewhere else
			q := uint8(k%len(b.m.Procs())) + 1
			after.set(pc, (after.get(pc, q)+1)%uint8(len(place.values)), q)
			taken = false
		}
		if !taken {
			if none++; none > edges {
				continue
			}
		} else if len(all)+1-none > edges {
			continue
		}
		all = append(all, Sample{taken, b.question(arm, variables, after, taken)})
	}
	if len(all) < 2*edges {
		return "", nil, fmt.Errorf("%s has no %d steps and as many others", m.Name, edges)
	}
	return d.b.String(), all, nil
}

// elements are the names of those of each sort that is no enumeration.
func (s *structure) elements() map[*sort][]string {
	names := map[*sort][]string{}
	for _, sort := range sorts {
		from, to := s.domain(sort)
		for v := from; v < to && sort.values == nil; v++ {
			names[sort] = append(names[sort], sort.element(v))
		}
	}
	return names
}

// element is the name of a value.
func (s *sort) element(v uint8) string {
	if s.values != nil {
		return s.values[v]
	}
	return fmt.Sprintf("%s_%d", s.name, v)
}

// facts assert the values of functions, or with after of what they are after a step.
func (p *printer) facts(s *structure, fs []*function, after bool) {
	for _, f := range fs {
		s.points(f, func(args []uint8, value uint8) {
			for _, q := range partials {
				if q.value == f && s.get(q.has, args[0]) != q.is {
					return
				}
			}
			if g := f; after {
				p.printf("(assert (= %s %s))\n", applied(g.next, args), f.result.element(value))
				return
			}
			p.printf("(assert (= %s %s))\n", applied(f, args), f.result.element(value))
		})
	}
}

// applied is a function at values, as text.
func applied(f *function, args []uint8) string {
	if len(args) == 0 {
		return symbol(f)
	}
	words := []string{symbol(f)}
	for i, a := range args {
		words = append(words, f.args[i].element(a))
	}
	return "(" + strings.Join(words, " ") + ")"
}

// points visits every argument of a function.
func (s *structure) points(f *function, visit func(args []uint8, value uint8)) {
	args := make([]uint8, len(f.args))
	var each func(k, at int)
	each = func(k, at int) {
		if k == len(args) {
			visit(args, s.values[f.at+at])
			return
		}
		from, to := s.domain(f.args[k])
		for v := from; v < to; v++ {
			args[k] = v
			each(k+1, at*most+int(v))
		}
	}
	each(0, 0)
}

// question asks for what contradicts the evaluator's answer.
func (b *Bridge) question(a *instance, variables []*function, after *structure, edge bool) string {
	p := &printer{names: map[*term]string{}}
	p.printf("(push 1)\n")
	p.facts(b.before.s, variables, false)
	p.facts(after, variables, true)
	for k, v := range parameters {
		if a.free[k] {
			p.printf("(assert (= %s %s))\n", v.name, v.sort.element(b.before.variables[k]))
		}
	}
	p.printf("(check-sat)\n")
	relation := and(append([]*term{a.Action.guard}, a.meaningful(variables)...)...)
	if edge {
		relation = not(relation)
	}
	p.assert(relation)
	p.printf("(check-sat)\n(pop 1)\n")
	return p.b.String()
}

// meaningful are the equations, of partial functions only where they have a value.
func (a *Action) meaningful(fs []*function) (all []*term) {
	for i, t := range a.equations(fs) {
		for _, q := range partials {
			if q.value == fs[i] {
				v := t.args[0]
				is := q.has.next.of(v)
				if q.has.result != boolean {
					is = equal(is, &term{op: opValue, sort: q.has.result, value: q.is})
				}
				t = binding(v, implies(is, t.args[1]))
			}
		}
		all = append(all, t)
	}
	return all
}
