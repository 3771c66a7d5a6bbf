package model

import "reflect"

// tabled is what all systems have in common: instances of actions, listed one by
// one, and properties. S is a state, T the step that the actions are methods of.
type tabled[S, T any] struct {
	table      []Action
	do         []func(*T) // for each action of the table
	invariants []check[func(*S) bool]
	steps      []check[stepProperty[S]]

	start  S
	key    func(*S) Key // the same for a whole class, if there is symmetry
	unpack func(Key, *S)
	write  func(*S) string // the canonical text
	procs  []string        // whose variables have columns of their own
}

type check[F any] struct {
	name  string
	holds F
}

// A stepProperty says whether the step from s to n by the action is as it should be.
type stepProperty[S any] = func(a *Action, s, n *S) bool

func (m *tabled[S, T]) initial() Key        { return m.key(&m.start) }
func (m *tabled[S, T]) actions() []Action   { return m.table }
func (m *tabled[S, T]) processes() []string { return m.procs }

func (m *tabled[S, T]) text(k Key) string {
	var s S
	m.unpack(k, &s)
	return m.write(&s)
}

func (m *tabled[S, T]) properties() (invariants, stepProperties []string) {
	for _, c := range m.invariants {
		invariants = append(invariants, c.name)
	}
	for _, c := range m.steps {
		stepProperties = append(stepProperties, c.name)
	}
	return invariants, stepProperties
}

// choose sets the invariants and step properties to those of the properties that
// are of states or of steps; it panics on a name that is unknown. The property about
// whole behaviours is for liveness.go.
func (m *tabled[S, T]) choose(properties []string, known map[string]func(*S) bool, steps map[string]stepProperty[S]) {
	for _, name := range properties {
		switch {
		case name == goneInTheEnd:
		case steps[name] != nil:
			m.steps = append(m.steps, check[stepProperty[S]]{name, steps[name]})
		case known[name] != nil:
			m.invariants = append(m.invariants, check[func(*S) bool]{name, known[name]})
		default:
			panic(unknown{"property", name})
		}
	}
}

// goneInTheEnd is the property that needs fairness.
const goneInTheEnd = "GoneInTheEnd"

// add adds instances of the action in the slot, or of the mutant that is swapped in
// for it: the method of T that has its name. Its arguments are numbers, from 1, of
// names in the lists; "" is passed over.
func (m *tabled[S, T]) add(slot string, swap map[string]string, arguments ...[]string) {
	name, isMutant := swap[slot]
	if !isMutant {
		name = slot
	}
	var do any
	if method, ok := reflect.TypeFor[*T]().MethodByName(name); ok {
		do = method.Func.Interface()
	}
	add := func(do func(*T), p, i uint8, arguments ...string) {
		m.table = append(m.table, Action{Name: name, Slot: slot, Args: arguments, p: p, i: i})
		m.do = append(m.do, do)
	}
	switch do := do.(type) {
	case func(*T):
		add(do, 0, 0)
	case func(*T, uint8):
		for a, first := range arguments[0] {
			if p := uint8(a + 1); first != "" {
				add(func(t *T) { do(t, p) }, p, 0, first)
			}
		}
	case func(*T, uint8, uint8):
		for a, first := range arguments[0] {
			for b, second := range arguments[1] {
				p, i := uint8(a+1), uint8(b+1)
				if first == "" {
					continue
				}
				add(func(t *T) { do(t, p, i) }, p, i, first, second)
			}
		}
	default:
		panic(unknown{"mutant", name})
	}
}

// only is the names of those that are in the set; the others are "".
func only(set uint8, names []string) []string {
	in := make([]string, len(names))
	for i, name := range names {
		if has(set, uint8(i+1)) {
			in[i] = name
		}
	}
	return in
}

// brokenBy is the index from 1 of the first step property that the step breaks.
func (m *tabled[S, T]) brokenBy(action uint16, from, to *S) uint8 {
	for i := range m.steps {
		if !m.steps[i].holds(&m.table[action], from, to) {
			return uint8(i + 1)
		}
	}
	return 0
}

// working is what every step works with: the state, and the next one.
type working[S any] struct {
	s, n   S
	action uint16
	out    []Step
	guard  string // the last that was false

	key    func(*S) Key
	breaks func(action uint16, from, to *S) uint8
}

// not says that a guard is false, and remembers it.
func (w *working[S]) not(ok bool, guard string) bool {
	if !ok {
		w.guard = guard
	}
	return !ok
}

// next starts a step: n is s, to be changed.
func (w *working[S]) next() *S {
	w.n = w.s
	return &w.n
}

// done ends a step.
func (w *working[S]) done() {
	w.out = append(w.out, Step{To: w.key(&w.n), Action: w.action, broken: w.breaks(w.action, &w.s, &w.n)})
}

// expanding is the expander of such a system: w is a part of t.
type expanding[S, T any] struct {
	m *tabled[S, T]
	t *T
	w *working[S]
}

func (m *tabled[S, T]) expands(t *T, w *working[S]) expander {
	w.key, w.breaks = m.key, m.brokenBy
	return &expanding[S, T]{m, t, w}
}

func (x *expanding[S, T]) expand(k Key, out []Step) ([]Step, uint8) {
	w := x.w
	x.m.unpack(k, &w.s)
	w.out = out
	for i, do := range x.m.do {
		w.action = uint16(i)
		do(x.t)
	}
	out, w.out = w.out, nil
	for i := range x.m.invariants {
		if !x.m.invariants[i].holds(&w.s) {
			return out, uint8(i + 1)
		}
	}
	return out, 0
}

func (x *expanding[S, T]) falseGuard(k Key, action uint16) string {
	w := x.w
	x.m.unpack(k, &w.s)
	w.out, w.guard = w.out[:0], ""
	x.m.do[action](x.t)
	if len(w.out) > 0 {
		return ""
	}
	return w.guard
}
