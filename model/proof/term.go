package proof

import "slices"

// A sort is a kind of thing. Those with values are enumerations, the others have
// any number of elements.
type sort struct {
	name   string
	values []string
	index  int // in sorts
}

// A function is a symbol: a variable of the specification at each of its
// arguments, or, if it is rigid, a constant.
type function struct {
	name   string
	args   []*sort
	result *sort
	rigid  bool
	at     int // where its values begin in a structure

	next *function // the same after a step; nil if it is rigid or is one
}

type op uint8

const (
	opVariable op = iota
	opValue       // of an enumeration, or true and false
	opApply
	opEqual
	opNot
	opAnd
	opOr
	opIf // if args[0] then args[1] else args[2]
	opForall
	opExists
)

// A term is a formula, if its sort is boolean.
type term struct {
	op       op
	sort     *sort
	name     string // of a variable that is a parameter
	value    uint8
	function *function
	args     []*term // of quantifiers: the variable, and the body
}

func (f *function) of(args ...*term) *term {
	if len(args) != len(f.args) {
		panic("proof: arguments of " + f.name)
	}
	for i, a := range args {
		if a.sort != f.args[i] {
			panic("proof: sort of an argument of " + f.name)
		}
	}
	return &term{op: opApply, sort: f.result, function: f, args: args}
}

func equal(a, b *term) *term {
	if a.sort != b.sort {
		panic("proof: " + a.sort.name + " = " + b.sort.name)
	}
	return &term{op: opEqual, sort: boolean, args: []*term{a, b}}
}

func boolTerm(op op, args ...*term) *term {
	for _, a := range args {
		if a.sort != boolean {
			panic("proof: a formula is of sort " + a.sort.name)
		}
	}
	return &term{op: op, sort: boolean, args: args}
}

func not(a *term) *term        { return boolTerm(opNot, a) }
func and(args ...*term) *term  { return boolTerm(opAnd, args...) }
func or(args ...*term) *term   { return boolTerm(opOr, args...) }
func implies(a, b *term) *term { return or(not(a), b) }

func choose(condition, then, otherwise *term) *term {
	if condition.sort != boolean || then.sort != otherwise.sort {
		panic("proof: sorts of a choice")
	}
	return &term{op: opIf, sort: then.sort, args: []*term{condition, then, otherwise}}
}

func forall(s *sort, body func(x *term) *term) *term { return quantified(opForall, s, body) }
func exists(s *sort, body func(x *term) *term) *term { return quantified(opExists, s, body) }

func quantified(op op, s *sort, body func(x *term) *term) *term {
	x := &term{op: opVariable, sort: s}
	return &term{op: op, sort: boolean, args: []*term{x, and(body(x)).args[0]}}
}

// visit calls f for the term and every term in it.
func (t *term) visit(f func(*term)) {
	f(t)
	for _, a := range t.args {
		a.visit(f)
	}
}

// any says whether f is true of the term or of one in it.
func (t *term) any(f func(*term) bool) (found bool) {
	t.visit(func(t *term) { found = found || f(t) })
	return found
}

// functions are those in the terms, in the order of all.
func functions(terms ...*term) (in []*function) {
	for _, t := range terms {
		t.visit(func(t *term) {
			if t.function != nil && !slices.Contains(in, t.function) {
				in = append(in, t.function)
			}
		})
	}
	return in
}

// after is the term in the state after a step that changes the functions for which
// changed is true.
func (t *term) after(changed func(*function) bool) *term {
	n := *t
	if t.function != nil && t.function.next != nil && changed(t.function) {
		n.function = t.function.next
	}
	n.args = make([]*term, len(t.args))
	for i, a := range t.args {
		n.args[i] = a
		if a.op != opVariable {
			n.args[i] = a.after(changed)
		}
	}
	return &n
}

// A partial function has a value at some arguments. At others val says nothing,
// and no formula may depend on what it is.
type partial struct{ has, val *function }

func (f partial) is(x *term) *term    { return f.has.of(x) }
func (f partial) of(x *term) *term    { return f.val.of(x) }
func (f partial) to(x, y *term) *term { return and(f.is(x), equal(f.of(x), y)) }

func (f partial) set(x, y *term) []change { return join(f.has.set(x, yes), f.val.set(x, y)) }
func (f partial) unset(x *term) []change  { return f.has.set(x, no) }

// A change says what a function is after a step, at the arguments.
type change struct {
	function *function
	args     []*term // variables
	value    *term
}

// becomes is what a function is after a step, at any argument.
func (f *function) becomes(value func(x ...*term) *term) []change {
	c := change{function: f}
	for _, s := range f.args {
		c.args = append(c.args, &term{op: opVariable, sort: s})
	}
	c.value = value(c.args...)
	if c.value.sort != f.result {
		panic("proof: sort of what " + f.name + " becomes")
	}
	return []change{c}
}

// set changes a function at one argument.
func (f *function) set(at, value *term) []change {
	return f.becomes(func(x ...*term) *term { return choose(equal(x[0], at), value, f.of(x...)) })
}

// when makes changes only if the condition holds.
func when(condition *term, changes ...[]change) []change {
	all := join(changes...)
	for i, c := range all {
		all[i].value = choose(condition, c.value, c.function.of(c.args...))
	}
	return all
}

func join(changes ...[]change) []change { return slices.Concat(changes...) }
