package model

// tabled is what the layer store and power loss have in common as systems: few
// action instances, listed one by one. S is a state, T the step that the
// actions are methods of.
type tabled[S, T any] struct {
	table      []Action
	do         []func(*T) // for each action of the table
	invariants []check[func(*S) bool]
	steps      []check[stepProperty[S]]
}

func (m *tabled[S, T]) actions() []Action { return m.table }

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
// are of states or of steps; it panics on a name that is unknown.
func (m *tabled[S, T]) choose(properties []string, known map[string]func(*S) bool, steps map[string]stepProperty[S]) {
	for _, name := range properties {
		if name == goneInTheEnd {
			continue
		}
		if steps[name] != nil {
			m.steps = append(m.steps, check[stepProperty[S]]{name, steps[name]})
			continue
		}
		if known[name] == nil {
			panic(unknown{"property", name})
		}
		m.invariants = append(m.invariants, check[func(*S) bool]{name, known[name]})
	}
}

// brokenBy is the index from 1 of the first step property that the step breaks.
func (m *tabled[S, T]) brokenBy(action uint16, from, to *S) uint8 {
	for i, c := range m.steps {
		if !c.holds(&m.table[action], from, to) {
			return uint8(i + 1)
		}
	}
	return 0
}

// stepsFrom takes every action in the state of w, which is a part of t.
func (m *tabled[S, T]) stepsFrom(t *T, w *working[S], out []Step) ([]Step, uint8) {
	w.out = out
	for i, do := range m.do {
		w.action = uint16(i)
		do(t)
	}
	out, w.out = w.out, nil
	for i, c := range m.invariants {
		if !c.holds(&w.s) {
			return out, uint8(i + 1)
		}
	}
	return out, 0
}

// guardOf takes one action in the state of w, which is a part of t, and returns
// the guard that is false.
func (m *tabled[S, T]) guardOf(t *T, w *working[S], action uint16) string {
	w.out, w.guard = w.out[:0], ""
	m.do[action](t)
	if len(w.out) > 0 {
		return ""
	}
	return w.guard
}

// working is what every step of such a system works with.
type working[S any] struct {
	s      S
	action uint16
	out    []Step
	guard  string // the last that was false
}

// not reports whether the guard is false, and keeps its text.
func (w *working[S]) not(ok bool, guard string) bool {
	if !ok {
		w.guard = guard
	}
	return !ok
}
