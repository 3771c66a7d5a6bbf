package proof

import "fmt"

// This file makes clauses of a question, for a SAT solver. It has no part in the printed
// text: what a step makes of a function is put in its place, what exists gets a name, and
// what holds for all is said of each term that can be written. Those are finitely many,
// since functions lead one way. So if the clauses cannot be true together there is no
// counterexample of any size; and if they can, there is one (Herbrand's theorem).

// oneWay are the sorts without values: functions lead from one to those after it.
var oneWay = []*sort{proc, system, copies, path, item, id, inode}

// A bound is what variables stand for.
type bound struct {
	v, is *term
	up    *bound
}

// counts are how many elements have a name, by sort.
type counts [16]int

type application struct {
	f    *function
	a, b *term
}

type grounding struct {
	action  *Action
	within  map[*term]bool // quantifiers of the action
	names   map[string]*term
	counted counts
	scope   int // in how many variables
	exact   bool

	terms map[application]*term
	made  []*term // the same, in order
	all   map[*sort][]*term

	clauses [][]int
	last    int             // variable
	values  map[*term][]int // a variable for each, of false, too
	equal   map[[2]*term]int
}

const always = 1 // the variable that is true

// Ground returns clauses, in which a number is a variable or its negation: they can be
// true together only if what is to be proved has a counterexample, and if it has one,
// which is not so unless exact.
func (o Obligation) Ground() (clauses [][]int, exact bool) {
	q := o.question
	g := &grounding{action: q.action, within: map[*term]bool{}, names: map[string]*term{}, terms: map[application]*term{}, all: map[*sort][]*term{}, exact: true}
	all := append(q.hypotheses[:len(q.hypotheses):len(q.hypotheses)], q.conclusion)
	if a := q.action; a != nil {
		all = append(all, a.guard)
		for _, c := range a.changes {
			all = append(all, c.value)
		}
		for _, t := range all[len(q.hypotheses)+1:] {
			t.visit(func(t *term) { g.within[t] = t.op == opForall || t.op == opExists })
		}
	}
	say := func() {
		g.clauses, g.last, g.counted = [][]int{{always}}, always, counts{}
		g.values, g.equal = map[*term][]int{}, map[[2]*term]int{}
		for _, h := range q.hypotheses {
			g.clause(g.is(h, true, nil))
		}
		if q.action != nil {
			g.clause(g.is(q.action.guard, true, nil))
		}
		g.clause(g.is(q.conclusion, false, nil))
	}
	say() // of no element yet: what exists has its name then
	g.elements(functions(all...))
	say()
	g.axioms()
	return g.clauses, g.exact
}

// of is the function at the arguments: one term, however often it is asked for.
func (g *grounding) of(f *function, args ...*term) *term {
	at := application{f: f}
	for k, a := range args {
		*[]**term{&at.a, &at.b}[k] = a
	}
	if g.terms[at] == nil {
		g.terms[at] = f.of(args...)
		g.made = append(g.made, g.terms[at])
	}
	return g.terms[at]
}

// named is the constant of that name.
func (g *grounding) named(name string, s *sort) *term {
	if g.names[name] == nil {
		g.names[name] = g.of(&function{name: name, result: s, rigid: true})
	}
	return g.names[name]
}

// elements makes all terms of the sorts without values. There is one of each sort at least.
func (g *grounding) elements(of []*function) {
	for _, s := range oneWay {
		for _, f := range of {
			if f = f.now(); f.result == s {
				g.each(f, nil)
			}
		}
		for _, t := range g.made {
			if t.sort == s {
				g.all[s] = append(g.all[s], t)
			}
		}
		if g.all[s] == nil {
			g.all[s] = []*term{g.named("any"+s.name, s)}
		}
	}
}

func (g *grounding) each(f *function, args []*term) {
	if len(args) == len(f.args) {
		g.of(f, args...)
		return
	}
	s := f.args[len(args)]
	if g.all[s] == nil {
		panic("proof: " + f.name + " leads back")
	}
	for _, a := range g.all[s] {
		g.each(f, append(args[:len(args):len(args)], a))
	}
}

// now is the function before the step.
func (f *function) now() *function {
	if f.rigid || f.next != nil {
		return f
	}
	return f.before()
}

// after is what the step makes of a function at the arguments, if it changes it.
func (g *grounding) after(f *function, args []*term) (value *term, in *bound) {
	if f.now() == f || g.action == nil {
		return nil, nil
	}
	for _, c := range g.action.changes {
		if c.function.next == f {
			for k, v := range c.args {
				in = &bound{v, args[k], in}
			}
			return c.value, in
		}
	}
	return nil, nil
}

// at calls then with what the terms are, in each case of what they depend on.
func (g *grounding) at(terms []*term, in *bound, then func(is []*term) int) int {
	if len(terms) == 0 {
		return then(nil)
	}
	return g.one(terms[0], in, func(first *term) int {
		return g.at(terms[1:], in, func(is []*term) int { return then(append([]*term{first}, is...)) })
	})
}

func (g *grounding) one(t *term, in *bound, then func(is *term) int) int {
	switch t.op {
	case opVariable:
		for b := in; b != nil; b = b.up {
			if b.v == t {
				return then(b.is)
			}
		}
		return then(g.named(t.name, t.sort)) // a parameter
	case opIf:
		return g.choose(t.args[0], in, func() int { return g.one(t.args[1], in, then) }, func() int { return g.one(t.args[2], in, then) })
	case opApply:
		return g.at(t.args, in, func(args []*term) int {
			if value, in := g.after(t.function, args); value != nil {
				return g.one(value, in, then)
			}
			return then(g.of(t.function.now(), args...))
		})
	}
	return then(t)
}

// is returns a literal: if it is true t is sign.
func (g *grounding) is(t *term, sign bool, in *bound) int {
	sub := func(t *term, sign bool) func() int { return func() int { return g.is(t, sign, in) } }
	literal := func(l int) int {
		if !sign {
			return -l
		}
		return l
	}
	switch t.op {
	case opVariable:
		return g.one(t, in, func(is *term) int { return literal(g.isValue(is)[1]) })
	case opValue:
		return literal((2*int(t.value) - 1) * always)
	case opNot:
		return g.is(t.args[0], !sign, in)
	case opAnd, opOr:
		var parts []func() int
		for _, a := range t.args {
			parts = append(parts, sub(a, sign))
		}
		return g.join((t.op == opAnd) == sign, parts...)
	case opIf:
		return g.choose(t.args[0], in, sub(t.args[1], sign), sub(t.args[2], sign))
	case opEqual:
		if t.args[0].sort == boolean {
			return g.choose(t.args[0], in, sub(t.args[1], sign), sub(t.args[1], !sign))
		}
		return g.at(t.args, in, func(args []*term) int { return literal(g.isSame(args[0], args[1])) })
	case opApply:
		return g.at(t.args, in, func(args []*term) int {
			if value, in := g.after(t.function, args); value != nil {
				return g.is(value, sign, in)
			}
			return literal(g.isValue(g.of(t.function.now(), args...))[1])
		})
	}
	v := t.args[0]
	if (t.op == opForall) == sign {
		var parts []func() int
		for _, e := range g.all[v.sort] {
			parts = append(parts, func() int { return g.is(t.args[1], sign, &bound{v, e, in}) })
		}
		g.scope++
		defer func() { g.scope-- }()
		return g.join(true, parts...)
	}
	var name string
	if g.within[t] { // it has one name wherever the step puts it
		name = fmt.Sprintf("%p", t)
	} else {
		name = fmt.Sprint(v.sort.name, g.counted[v.sort.index])
		g.counted[v.sort.index]++
	}
	depends := !g.within[t]
	for b := in; b != nil; b = b.up {
		if t.any(func(u *term) bool { return u == b.v }) {
			name, depends = fmt.Sprintf("%s %p", name, b.is), true
		}
	}
	if depends && g.scope > 0 { // something exists for each: what follows without it follows
		g.exact = false
		return always
	}
	return g.is(t.args[1], sign, &bound{v, g.named(name, v.sort), in})
}

// join is and of the parts, or or: one of those is enough, so that what exists has the same
// name in each.
func (g *grounding) join(isAnd bool, parts ...func() int) int {
	start, most, all, neutral := g.counted, g.counted, []int{}, -always
	if isAnd {
		neutral = always
	}
	for _, part := range parts {
		if !isAnd {
			g.counted = start
		}
		if l := part(); l != neutral {
			all = append(all, l)
		}
		for k, n := range g.counted {
			most[k] = max(most[k], n)
		}
	}
	g.counted = most
	switch len(all) {
	case 0:
		return neutral
	case 1:
		return all[0]
	}
	v := g.fresh()
	if !isAnd {
		g.clause(append(all, -v)...)
		return v
	}
	for _, l := range all {
		g.clause(-v, l)
	}
	return v
}

func (g *grounding) choose(condition *term, in *bound, then, otherwise func() int) int {
	return g.join(true,
		func() int { return g.join(false, func() int { return g.is(condition, false, in) }, then) },
		func() int { return g.join(false, func() int { return g.is(condition, true, in) }, otherwise) })
}

func (g *grounding) fresh() int { g.last++; return g.last }

// isValue are the variables of a term, isSame is that of an equation.
func (g *grounding) isValue(t *term) []int {
	if g.values[t] == nil {
		for range t.sort.values {
			g.values[t] = append(g.values[t], g.fresh())
		}
	}
	return g.values[t]
}

func (g *grounding) isSame(a, b *term) int {
	switch {
	case a == b || a.op == opValue && b.op == opValue && a.value == b.value:
		return always
	case a.op == opValue && b.op == opValue:
		return -always
	case b.op == opValue:
		return g.isValue(a)[b.value]
	case a.op == opValue:
		return g.isValue(b)[a.value]
	}
	v := g.equal[[2]*term{a, b}]
	if v != 0 {
		return v
	}
	v = g.fresh()
	g.equal[[2]*term{a, b}], g.equal[[2]*term{b, a}] = v, v
	if a.sort.values != nil {
		x, y := g.isValue(a), g.isValue(b)
		for k := range x {
			g.clause(-v, -x[k], y[k])
			g.clause(v, -x[k], -y[k])
		}
	}
	return v
}

func (g *grounding) clause(or ...int) {
	c := make([]int, 0, len(or))
	for _, l := range or {
		if l == always {
			return
		}
		if l != -always {
			c = append(c, l)
		}
	}
	g.clauses = append(g.clauses, c)
}

// axioms are what is true of equations, of functions, and of the values of a term.
func (g *grounding) axioms() {
	of := map[*function][]*term{}
	for _, t := range g.made {
		if t.sort.values == nil || g.values[t] != nil {
			of[t.function] = append(of[t.function], t)
		}
	}
	for _, all := range of {
		for _, a := range all {
			if v := g.values[a]; v != nil {
				g.clause(v...)
				for k := range v {
					for l := range k {
						g.clause(-v[k], -v[l])
					}
				}
			}
			for _, b := range all {
				g.congruent(a, b)
			}
		}
	}
	for _, all := range g.all {
		for i, a := range all {
			for j, b := range all[:i] {
				for _, c := range all[:j] {
					x, y, z := g.isSame(a, b), g.isSame(b, c), g.isSame(a, c)
					g.clause(-x, -y, z)
					g.clause(-x, -z, y)
					g.clause(-y, -z, x)
				}
			}
		}
	}
}

// congruent says that b is a if the function's arguments are the same.
func (g *grounding) congruent(a, b *term) {
	if a == b {
		return
	}
	var or []int
	for k := range a.args {
		or = append(or, -g.isSame(a.args[k], b.args[k]))
	}
	or = or[:len(or):len(or)]
	if a.sort.values == nil {
		g.clause(append(or, g.isSame(a, b))...)
	}
	for k, v := range g.values[a] {
		g.clause(append(or, -v, g.values[b][k])...)
	}
}
