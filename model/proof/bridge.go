package proof

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/model"
)

// A Bridge compares the formulas with one model: each of its states as a structure,
// and each of its steps with those that the formulas allow.
//
// The model is finer in three places, and the comparison is modulo those. It counts
// crashes and failing calls, to bound them: where a count is at its bound the formulas
// may go on, and nothing is compared. A new inode has the lowest free number: of the
// formulas' steps that one is compared; every other free number has to be allowed, and
// no number that is not free. A tree is a number of files: the formulas say
// of the step that removes one only that there may be more, and the choice is the one
// that is true.
type Bridge struct {
	States, Edges int
	Clauses       int            // that were evaluated, of all states together
	Taken         map[string]int // steps of each arm
	Differences   []string
	Theory        string // of which the clauses were evaluated; "" if the model is in none

	m       *model.Protocol
	take    *model.Stepper
	c       model.Config
	labels  []label
	start   *structure
	formula []checked // of a state
	steps   []checked // of a step
	init    compiled

	before, after *evaluation
	expected      structure
}

// A label is an instance of an action of the model.
type label struct {
	action model.Action
	index  uint16 // of the action
	bounds string // by which count
	arms   []instance
}

// An instance is an arm of the action with values for some parameters.
type instance struct {
	*stepper
	values [5]uint8
	fixed  [5]bool
}

// checked is a formula with what the model says of it.
type checked struct {
	name  string
	holds compiled
	model func(s, n *model.State) bool // nil for a clause, which must hold
	finer bool                         // it may be false where the model's is true
}

// NewBridge makes the bridge for a model of the protocol. The error says what it has
// that the formulas have not.
func NewBridge(m *model.Model) (*Bridge, error) {
	if m.Protocol == nil {
		return nil, fmt.Errorf("%s is no model of the protocol", m.Name)
	}
	formula := strings.Replace(m.Formula, "Live", "", 1)
	if formula == "MixedSpec" || formula == "Spec" || formula == "SweptSpec" || formula == "CleanedSpec" {
		return newBridge(*m.Protocol, formula, nil)
	}
	return nil, fmt.Errorf("%s: no formula %s", m.Name, m.Formula)
}

func newBridge(c model.Config, formula string, actions []*Action) (*Bridge, error) {
	m, err := model.NewProtocol(c, formula)
	if err != nil {
		return nil, err
	}
	b := &Bridge{m: m, c: c, take: m.NewStepper(), start: constantsOf(m, c), Taken: map[string]int{}}
	if actions == nil {
		if actions, err = swapped(c.Swap); err != nil {
			return nil, err
		}
	}
	b.before, b.after = &evaluation{s: newStructure(), n: newStructure()}, &evaluation{s: newStructure(), n: newStructure()}
	b.expected = *newStructure()
	for _, s := range []*structure{b.before.s, b.before.n, b.after.s, b.after.n, &b.expected} {
		s.size = b.start.size
	}
	var steppers []*stepper
	for _, a := range actions {
		steppers = append(steppers, a.compile())
	}
	for k, a := range m.Actions() {
		l := label{action: a, index: uint16(k), bounds: map[string]string{"CallFails": "failures", "UpstreamCallFails": "failures", "Crash": "crashes"}[a.Slot]}
		for _, s := range steppers {
			if s.Name == a.Name {
				l.arms = append(l.arms, b.instance(s, a.Args))
			}
		}
		if len(l.arms) == 0 {
			return nil, fmt.Errorf("no formula for %s", a.Name)
		}
		b.labels = append(b.labels, l)
	}
	b.init = compile(and(initial()...), nil)
	b.addTheory(formula, about(c))
	if b.Theory == "ours" {
		b.addClauses(refinement)
	}
	b.addProperties()
	return b, nil
}

// instance binds the arguments of a label.
func (b *Bridge) instance(s *stepper, args []string) instance {
	at := instance{stepper: s}
	for _, a := range args {
		for k, names := range [][]string{b.m.Procs(), b.m.IDs(), b.m.Items()} {
			if j := slices.Index(names, a); j >= 0 {
				at.values[k], at.fixed[k] = uint8(j+1), true
			}
		}
	}
	return at
}

// constantsOf makes the rigid part of every structure of a model.
func constantsOf(m *model.Protocol, c model.Config) *structure {
	s := newStructure()
	size := func(sort *sort, n int) { s.size[sort.index] = n }
	size(proc, len(m.Procs()))
	size(id, len(m.IDs()))
	size(item, len(m.Items()))
	size(inode, m.Inodes())
	size(system, len(m.Procs()))
	size(path, len(m.Procs()))
	size(copies, 2)
	for k, name := range m.Procs() {
		q, is := uint8(k+1), func(names []string) uint8 { return flag(slices.Contains(names, name)) }
		s.set(creator, is(c.Creator), q)
		s.set(inspector, is(c.Inspector), q)
		s.set(upstream, is(c.Upstream), q)
		s.set(repaired, is(c.Repaired), q)
		s.set(pid, q, q)
		if c.Pid == "Together" || c.Pid == "ListerTogether" && is(c.Creator)+is(c.Inspector) > 0 ||
			c.Pid == "Server" && (is(c.Creator) > 0 || name == c.Recoverer[0]) {
			s.set(pid, 1, q)
		}
		s.set(packageOf, 1, q)
		if c.Package == "TwoCopies" {
			s.set(packageOf, 1+is(c.Inspector), q)
		}
		s.set(rootName, 1, q)
		if c.RootName == "TwoNames" {
			s.set(rootName, q, q)
		}
	}
	for k, name := range m.Items() {
		is := func(names []string) uint8 { return flag(slices.Contains(names, name)) }
		s.set(victim, is(c.Victim), uint8(k+1))
		s.set(addition, is(c.Addition), uint8(k+1))
		s.set(mounted, is(c.Mounted), uint8(k+1))
	}
	for k, name := range m.IDs() {
		s.set(orphan, flag(slices.Contains(c.Orphan, name)), uint8(k+1))
		s.set(found, 1, uint8(k+1)) // of no matter here
	}
	for t, is := range map[*term]bool{tmpFile: c.TmpFile, mixedFleet: c.MixedFleet, orphanGrace: c.OrphanGrace,
		mayRelease: c.MayRelease, posixLocks: c.LockKind != "ofd", hasTable: c.LockKind == "table"} {
		s.set(t.function, flag(is))
	}
	return s
}

// has says that a formula about constants is true.
func (s *structure) has(t *term) bool {
	n := newStructure()
	n.size, n.values = s.size, slices.Clone(s.values)
	return compile(t, nil)(&evaluation{s: n}) != 0
}

// addTheory adds the clauses. If the model is one that the theory is about, they have to
// hold, and none of its actions may be missing in what is proved. No hypothesis may exclude
// a model of our processes.
func (b *Bridge) addTheory(formula string, th *Theory) {
	if len(b.c.Swap) > 0 || formula != "Spec" && formula != "MixedSpec" {
		return
	}
	for k, h := range th.Hypotheses {
		if b.start.has(h) {
			continue
		}
		if th.Name != "ours" {
			return
		}
		b.Differences = append(b.Differences, fmt.Sprintf("hypothesis %d is not true of the model", k+1))
	}
	b.Theory = th.Name
	for _, l := range b.labels {
		for _, arm := range l.arms {
			if !slices.ContainsFunc(th.Actions, func(a *Action) bool { return a.String() == arm.String() }) {
				b.Differences = append(b.Differences, fmt.Sprintf("nothing is proved of %v", arm))
			}
		}
	}
	b.addClauses(th.Clauses)
}

func (b *Bridge) addClauses(all []Clause) {
	for _, c := range all {
		b.formula = append(b.formula, checked{name: c.Name, holds: compile(c.formula, nil)})
	}
}

// addProperties adds what is compared with the model's own.
func (b *Bridge) addProperties() {
	of := map[string]func(*model.State) bool{
		"OneOwner": b.m.OneOwner, "LiveIsLocked": b.m.LiveIsLocked, "LockKept": b.m.LockKept, "LiveKept": b.m.LiveKept,
		"OurLiveKept": b.m.OurLiveKept, "ReachableWhole": b.m.ReachableWhole, "RepliesTrue": b.m.RepliesTrue, "NeverLost": b.m.NeverLost,
		"DataHasLock": func(s *model.State) bool { return len(b.c.Orphan) > 0 || b.m.DataHasLock(s) },
	}
	for _, c := range properties {
		b.formula = append(b.formula, checked{name: c.Name, holds: compile(c.formula, nil), model: func(s, _ *model.State) bool { return of[c.Name](s) }})
	}
	ofStep := map[string]func(*model.Action, *model.State, *model.State) bool{
		"UnlinkedByHolder": b.m.UnlinkedByHolder, "LookingChangesNothing": b.m.LookingChangesNothing,
	}
	for _, c := range stepProperties {
		b.steps = append(b.steps, checked{name: c.Name, holds: compile(c.formula, parameters), model: func(s, n *model.State) bool { return ofStep[c.Name](nil, s, n) }})
	}
	if b.c.LockKind == "ofd" && len(b.c.Upstream) == 0 {
		refines := b.m.Refined()
		b.steps = append(b.steps, checked{name: "TempDirSpec", holds: compile(refined().formula, parameters),
			model: func(s, n *model.State) bool { return refines(nil, s, n) }, finer: b.Theory == ""})
	}
}

// abstract makes the structure of a state. It reports whether it has one.
func (b *Bridge) abstract(s *model.State, to *structure) bool {
	copy(to.values[rigidAt:], b.start.values[rigidAt:])
	clear(to.values[:rigidAt])
	bit := func(set, n uint8) uint8 { return set >> n & 1 }
	for q := range uint8(len(b.m.Procs())) {
		q++
		to.set(pc, s.PC[q], q)
		setPartial(to, idOf, q, s.ID[q])
		setPartial(to, fd, q, s.Fd[q])
		if s.Arg[q] <= numbersFrom {
			setPartial(to, arg, q, s.Arg[q])
		} else {
			setPartial(to, memo, q, s.Arg[q]-numbersFrom)
		}
	}
	for k := range uint8(b.m.Inodes()) {
		if q := s.Holder[k+1]; q != 0 {
			if s.Fd[q] != k+1 {
				return false
			}
			to.set(holds, 1, q)
		}
		to.set(parked, bit(s.Parked[1], k), 1, k+1)
		to.set(parked, bit(s.Parked[2], k), 2, k+1)
	}
	for i := range uint8(len(b.m.IDs())) {
		i++
		setPartial(to, lock, i, s.Lock[i])
		to.set(data, bit(s.Data, i), i)
		to.set(used, bit(s.Used, i), i)
	}
	for x := range uint8(len(b.m.Items())) {
		x++
		if s.Place[x] >= model.Inside(1) {
			to.set(at, where.value("within").value, x)
			to.set(pin, s.Place[x]-model.Inside(1)+1, x)
		} else {
			to.set(at, s.Place[x], x)
		}
		to.set(whole, flag(int(s.Tree[x]) == b.c.Files), x)
		to.set(some, flag(s.Tree[x] > 0), x)
	}
	return true
}

// numbersFrom is above every tree in arg: there a mutant remembers an inode.
const numbersFrom = 3

func setPartial(s *structure, f partial, at, value uint8) {
	s.set(f.has, flag(value != 0), at)
	s.set(f.val, value, at)
}

// isFree is Free.
func isFree(s *model.State, k uint8) bool {
	return !slices.Contains(s.Lock[1:], k) && !slices.Contains(s.Fd[1:], k) && (s.Parked[1]|s.Parked[2])>>(k-1)&1 == 0
}

// lowestFree is NewInode.
func lowestFree(s *model.State) uint8 {
	k := uint8(1)
	for !isFree(s, k) {
		k++
	}
	return k
}

// Compare compares one state of the model and every step from it.
func (b *Bridge) Compare(s model.State) {
	e := b.before
	differ := func(format string, args ...any) {
		if len(b.Differences) < 10 {
			b.Differences = append(b.Differences, fmt.Sprintf(format, args...)+" in\n"+b.m.Text(s))
		}
	}
	b.States++
	if !b.abstract(&s, e.s) {
		differ("no structure")
		return
	}
	if first := b.m.Init(); (b.init(e) != 0) != b.same(&s, &first) {
		differ("Init")
	}
	e.s.fill(uint8(b.States%2) + 1) // what a partial function is where it has no value does not matter
	if len(b.m.IDs()) < 2 || len(b.m.Items()) < 2 {
		e.s.fill(1)
	}
	for _, c := range b.formula {
		holds := c.holds(e) != 0
		if c.model == nil {
			b.Clauses++
		}
		if c.model == nil && !holds || c.model != nil && holds != c.model(&s, nil) {
			differ("%s is %v by the formula", c.name, holds)
		}
	}
	lowest := lowestFree(&s)
	for k := range b.labels {
		l := &b.labels[k]
		if l.bounds == "failures" && int(s.Failures) >= b.c.MaxFailures || l.bounds == "crashes" && int(s.Crashes) >= b.c.MaxCrashes {
			continue
		}
		b.compareLabel(&s, l, lowest, differ)
	}
}

// same says whether two states are the same structure.
func (b *Bridge) same(s, t *model.State) bool {
	u := *s
	u.Crashes, u.Failures = t.Crashes, t.Failures
	return u == *t || func() bool {
		b.abstract(s, b.after.s)
		b.abstract(t, b.after.n)
		return slices.Equal(b.after.s.values, b.after.n.values)
	}()
}

func (b *Bridge) compareLabel(s *model.State, l *label, lowest uint8, differ func(string, ...any)) {
	steps := b.take.Take(s, l.index)
	var met uint64 // of the steps
	for a := range l.arms {
		arm := &l.arms[a]
		b.each(s, arm, lowest, func() {
			for k := range steps {
				if !b.abstract(&steps[k], &b.expected) {
					differ("%v leads to no structure", l.action)
				}
				b.expected.canonical()
				if slices.Equal(b.expected.values, b.before.n.values) {
					met |= 1 << k
					b.Taken[arm.String()]++
					b.compareStep(s, &steps[k], l, differ)
					return
				}
			}
			differ("%v by the formula %v, and not in the model,", l.action, arm)
		})
		for k := uint8(1); arm.free[3] && int(k) <= b.m.Inodes(); k++ {
			b.before.variables[3] = lowest
			could := arm.guard(b.before) != 0
			b.before.variables[3] = k
			if (arm.guard(b.before) != 0) != (could && isFree(s, k)) {
				differ("%v with inode %d", arm, k)
			}
		}
	}
	if b.Edges += len(steps); met != 1<<len(steps)-1 {
		differ("%v in the model, and not by the formulas,", l.action)
	}
}

// compareStep compares the properties of a step: b.before has it.
func (b *Bridge) compareStep(s, n *model.State, l *label, differ func(string, ...any)) {
	b.before.n.fill(1)
	for _, c := range b.steps {
		if l.action.Slot == "Crash" && c.name == "LookingChangesNothing" {
			continue // the specification asks for steps that are no crash
		}
		if holds := c.holds(b.before) != 0; holds != c.model(s, n) && (holds || !c.finer) {
			differ("%s of %v is %v by the formula", c.name, l.action, holds)
		}
	}
}

// each takes every step of an arm, with the parameters that the label leaves open.
func (b *Bridge) each(s *model.State, a *instance, lowest uint8, visit func()) {
	e := b.before
	copy(e.variables[:], a.values[:])
	e.variables[3] = lowest
	if x := s.Arg[a.values[0]]; x <= numbersFrom {
		e.variables[4] = flag(s.Tree[x] > 1)
	}
	open, from, to := 0, a.values[0], a.values[0]+1
	for k, v := range parameters[:3] {
		if a.free[k] && !a.fixed[k] {
			from, to = e.s.domain(v.sort)
			open = k
		}
	}
	for value := from; value < to; value++ {
		if e.variables[open] = value; a.step(e) {
			visit()
		}
	}
}

// Explore compares every state of the model. The error is that of ctx.
func (b *Bridge) Explore(ctx context.Context, m *model.Model) error {
	g, err := m.Graph(ctx, model.Options{})
	if err != nil {
		return err
	}
	for k := 0; k < g.States() && ctx.Err() == nil; k++ {
		s, _ := g.State(k)
		b.Compare(s)
	}
	return ctx.Err()
}
