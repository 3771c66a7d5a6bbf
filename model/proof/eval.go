package proof

// most is how many elements of a sort a structure has room for, plus one: they are
// numbers from 1. Values of enumerations are numbers from 0.
const most = 16

// A structure is a finite world that formulas are evaluated in: how many elements
// each sort has, and the value of each function at each argument.
type structure struct {
	size   []int // by sort
	values []uint8
}

// In values the variables come first, and the constants begin at rigidAt.
var rigidAt, valuesSize int

func init() {
	for _, isRigid := range []bool{false, true} {
		rigidAt = valuesSize // at last, where the constants begin
		for _, f := range vocabulary {
			if f.rigid != isRigid {
				continue
			}
			f.at = valuesSize
			if f.next != nil {
				f.next.at = valuesSize
			}
			places := 1
			for range f.args {
				places *= most
			}
			valuesSize += places
		}
	}
}

func newStructure() *structure {
	s := &structure{size: make([]int, len(sorts)), values: make([]uint8, valuesSize)}
	for i, sort := range sorts {
		s.size[i] = len(sort.values)
	}
	return s
}

func (s *structure) set(f *function, value uint8, args ...uint8) {
	at := 0
	for _, a := range args {
		at = at*most + int(a)
	}
	s.values[f.at+at] = value
}

func (s *structure) get(f *function, arg uint8) uint8 { return s.values[f.at+int(arg)] }

// domain is the first value of a sort, and the one after the last.
func (s *structure) domain(of *sort) (from, to uint8) {
	if of.values != nil {
		return 0, uint8(len(of.values))
	}
	return 1, uint8(s.size[of.index] + 1)
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// An evaluation has the structures before and after a step, and values of variables.
type evaluation struct {
	s, n      *structure
	variables [16]uint8
}

// compiled is a term, ready to be evaluated. A formula is 0 or 1.
type compiled func(*evaluation) uint8

// scope is where variables are in an evaluation.
type scope []*term

func (sc scope) slot(v *term) int {
	for i := len(sc) - 1; i >= 0; i-- {
		if sc[i] == v {
			return i
		}
	}
	panic("proof: a variable that nothing binds")
}

func compile(t *term, sc scope) compiled {
	args := func() (all []compiled) {
		for _, a := range t.args {
			all = append(all, compile(a, sc))
		}
		return all
	}
	switch t.op {
	case opVariable:
		slot := sc.slot(t)
		return func(e *evaluation) uint8 { return e.variables[slot] }
	case opValue:
		value := t.value
		return func(*evaluation) uint8 { return value }
	case opApply:
		return compileApply(t, sc)
	case opEqual:
		a := args()
		return func(e *evaluation) uint8 { return flag(a[0](e) == a[1](e)) }
	case opNot:
		a := args()[0]
		return func(e *evaluation) uint8 { return 1 - a(e) }
	case opAnd, opOr:
		if of, set := among(t); of != nil {
			value := compile(of, sc)
			return func(e *evaluation) uint8 { return uint8(set >> value(e) & 1) }
		}
		all, decides := args(), flag(t.op == opOr)
		if len(all) == 2 {
			a, b := all[0], all[1]
			return func(e *evaluation) uint8 {
				if a(e) == decides {
					return decides
				}
				return b(e)
			}
		}
		return func(e *evaluation) uint8 {
			for _, a := range all {
				if a(e) == decides {
					return decides
				}
			}
			return 1 - decides
		}
	case opIf:
		a := args()
		return func(e *evaluation) uint8 {
			if a[0](e) != 0 {
				return a[1](e)
			}
			return a[2](e)
		}
	}
	slot, bound, decides := len(sc), t.args[0].sort, flag(t.op == opExists)
	body := compile(t.args[1], append(sc[:slot:slot], t.args[0]))
	return func(e *evaluation) uint8 {
		from, to := e.s.domain(bound)
		for v := from; v < to; v++ {
			e.variables[slot] = v
			if body(e) == decides {
				return decides
			}
		}
		return 1 - decides
	}
}

// among is a function at an argument, and the set of values of which t says that it is
// one: in. It is nil if t is something else.
func among(t *term) (of *term, set uint64) {
	for _, a := range t.args {
		if t.op != opOr || a.op != opEqual || a.args[0].op != opApply || len(a.args[0].args) != 1 || a.args[1].op != opValue {
			return nil, 0
		}
		if of == nil {
			of = a.args[0]
		}
		if a.args[0].function != of.function || a.args[0].args[0] != of.args[0] {
			return nil, 0
		}
		set |= 1 << a.args[1].value
	}
	return of, set
}

func compileApply(t *term, sc scope) compiled {
	f := t.function
	at, after := f.at, !f.rigid && f.next == nil
	if len(t.args) == 1 && t.args[0].op == opVariable {
		slot := sc.slot(t.args[0]) & 15
		if after {
			return func(e *evaluation) uint8 { return e.n.values[at+int(e.variables[slot])] }
		}
		return func(e *evaluation) uint8 { return e.s.values[at+int(e.variables[slot])] }
	}
	var args []compiled
	for _, a := range t.args {
		args = append(args, compile(a, sc))
	}
	values := func(e *evaluation) []uint8 {
		if after {
			return e.n.values
		}
		return e.s.values
	}
	switch len(args) {
	case 0:
		return func(e *evaluation) uint8 { return values(e)[at] }
	case 1:
		return func(e *evaluation) uint8 { return values(e)[at+int(args[0](e))] }
	}
	return func(e *evaluation) uint8 { return values(e)[at+int(args[0](e))*most+int(args[1](e))] }
}

// A stepper takes the steps of one action.
type stepper struct {
	*Action
	guard   compiled
	free    []bool // which parameters the action has
	changes []compiledChange
}

type compiledChange struct {
	function *function
	value    compiled
}

func (a *Action) compile() *stepper {
	s := &stepper{Action: a, guard: compile(a.guard, parameters), free: make([]bool, len(parameters))}
	seen := func(t *term) {
		for i, v := range parameters {
			s.free[i] = s.free[i] || t == v
		}
	}
	a.guard.visit(seen)
	for _, c := range a.changes {
		c.value.visit(seen)
		s.changes = append(s.changes, compiledChange{c.function, compile(c.value, append(scope(parameters), c.args...))})
	}
	return s
}

// step makes e.n what the action makes of e.s, with the parameters in e, and reports
// whether it can be taken.
func (s *stepper) step(e *evaluation) bool {
	if s.guard(e) == 0 {
		return false
	}
	copy(e.n.values, e.s.values)
	for _, c := range s.changes {
		first := len(parameters)
		from, to := e.s.domain(c.function.args[0])
		for v := from; v < to; v++ {
			e.variables[first] = v
			at := c.function.at + int(v)
			if len(c.function.args) == 1 {
				e.n.values[at] = c.value(e)
				continue
			}
			from, to := e.s.domain(c.function.args[1])
			for w := from; w < to; w++ {
				e.variables[first+1] = w
				e.n.values[c.function.at+int(v)*most+int(w)] = c.value(e)
			}
		}
	}
	e.n.canonical()
	return true
}

// partials are the partial functions: value says something where has is so.
var partials = []struct {
	has   *function
	is    uint8
	value *function
}{
	{lock.has, 1, lock.val}, {fd.has, 1, fd.val}, {idOf.has, 1, idOf.val}, {arg.has, 1, arg.val},
	{memo.has, 1, memo.val}, {at, where.value("within").value, pin}, {durableAt, where.value("within").value, durablePin},
}

// canonical forgets the values that say nothing.
func (s *structure) canonical() { s.fill(0) }

// fill gives all values that say nothing one value. In a structure that formulas are
// evaluated in it is an element, since for a solver a function has a value everywhere.
func (s *structure) fill(with uint8) {
	for _, f := range partials {
		from, to := s.domain(f.has.args[0])
		for v := from; v < to; v++ {
			if s.get(f.has, v) != f.is {
				s.set(f.value, with, v)
			}
		}
	}
}
