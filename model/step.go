package model

// A step computes steps of the protocol: the expander of Protocol. Actions read
// s and change n.
type step struct {
	m      *Protocol
	s, n   State
	action uint16
	out    []Step
	guard  string // the guard that was false, of the last action tried
	seen   map[[2]Key]bool
	what   Key // how s looks to callers, if the model asks for refinement

	keeps bool // for a Stepper: the states themselves, and nothing else
	kept  []State
}

// not says that a guard is false, and remembers it.
func (t *step) not(ok bool, guard string) bool {
	if !ok {
		t.guard = guard
	}
	return !ok
}

// next starts a step: n is s, to be changed.
func (t *step) next() *State {
	t.n = t.s
	return &t.n
}

// done ends a step.
func (t *step) done() {
	if t.keeps {
		t.kept = append(t.kept, t.n)
		return
	}
	to := Step{Action: t.action}
	for i := range t.m.stepProperties {
		if !t.m.stepProperties[i].holds(&t.m.table[t.action], &t.s, &t.n) {
			to.broken = uint8(i + 1)
			break
		}
	}
	if t.m.refines && !t.refined() {
		to.broken = uint8(len(t.m.stepProperties) + 1)
	}
	if len(t.m.symmetry) == 0 {
		to.To = pack(&t.n)
	} else {
		to.To = t.m.canonical(&t.n)
	}
	t.out = append(t.out, to)
}

func (m *Protocol) newExpander() expander { return &step{m: m, seen: map[[2]Key]bool{}} }

func (t *step) expand(k Key, out []Step) ([]Step, uint8) {
	unpack(k, &t.s)
	t.out = out
	if t.m.refines {
		t.what = t.m.abstract(&t.s)
	}
	for i := range t.m.table {
		a := &t.m.table[i]
		t.action = uint16(i)
		a.do(t, a.p, a.i)
	}
	broken := uint8(0)
	for i := range t.m.invariants {
		if !t.m.invariants[i].holds(&t.s) {
			broken = uint8(i + 1)
			break
		}
	}
	out, t.out = t.out, nil
	return out, broken
}

func (t *step) falseGuard(k Key, action uint16) string {
	unpack(k, &t.s)
	t.out, t.guard = t.out[:0], ""
	a := &t.m.table[action]
	a.do(t, a.p, a.i)
	if len(t.out) > 0 {
		return ""
	}
	return t.guard
}

func (m *Protocol) initial() Key {
	s := m.init()
	if len(m.symmetry) > 0 {
		return m.canonical(&s)
	}
	return pack(&s)
}

func (m *Protocol) actions() []Action { return m.table }

func (m *Protocol) properties() (invariants, stepProperties []string) {
	for _, c := range m.invariants {
		invariants = append(invariants, c.name)
	}
	for _, c := range m.stepProperties {
		stepProperties = append(stepProperties, c.name)
	}
	if m.refines {
		stepProperties = append(stepProperties, "TempDirSpec")
	}
	return invariants, stepProperties
}

// buildProperties takes the properties by their names. Those about whole
// behaviours are for liveness.go.
func (m *Protocol) buildProperties(names []string) {
	states := map[string]func(*State) bool{
		"TypeOK": m.TypeOK, "MixedTypeOK": m.MixedTypeOK, "LiveKept": m.LiveKept, "OurLiveKept": m.OurLiveKept,
		"LiveIsLocked": m.LiveIsLocked, "OneOwner": m.OneOwner, "DataHasLock": m.DataHasLock, "LockKept": m.LockKept,
		"ReachableWhole": m.ReachableWhole, "RepliesTrue": m.RepliesTrue, "NeverLost": m.NeverLost,
	}
	steps := m.probes()
	steps["UnlinkedByHolder"], steps["LookingChangesNothing"] = m.UnlinkedByHolder, m.LookingChangesNothing
	for _, name := range names {
		switch {
		case name == "TempDirSpec":
			m.refines = true
		case name == goneInTheEnd:
		case steps[name] != nil:
			m.stepProperties = append(m.stepProperties, check[stepProperty[State]]{name, steps[name]})
		case states[name] != nil:
			m.invariants = append(m.invariants, check[func(*State) bool]{name, states[name]})
		default:
			panic(unknown{"property", name})
		}
	}
	if m.refines {
		m.what = newTempDir(m.Config.Creator, m.Config.Recoverer, m.Config.Victim, m.Config.Addition, false)
	}
}

// goneInTheEnd is the property that needs fairness.
const goneInTheEnd = "GoneInTheEnd"
