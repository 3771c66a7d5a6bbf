package proof

import (
	"fmt"
	"slices"

	"github.com/afterlock/afterlock/model"
)

// A Theory is what is proved: that under its hypotheses the invariant is inductive,
// and implies the properties.
type Theory struct {
	Name       string
	Says       string
	Hypotheses []*term
	Init       []*term
	Actions    []*Action
	Known      []Clause // of another theory, which proves them
	Again      bool     // they are proved here as well: there are other actions
	Clauses    []Clause
	Starts     []*term // what Init implies beside the clauses
	Properties []Clause
	Steps      []Clause
	Never      []string // the arms that cannot be taken: what nobody here does to an instance

	of       string            // the theory that it is a mutant of
	swap     map[string]string // definitions that the actions are mutants of
	narrowed int               // how many hypotheses, the last ones, say what a model does not have
}

// assumptions are those of Kernel.tla that a sort does not say.
var assumptions = []*term{
	forall(item, func(x *term) *term {
		v, a, m := victim.of(x), addition.of(x), mounted.of(x)
		return and(or(v, a, m), not(and(v, a)), not(and(v, m)), not(and(a, m)))
	}),
	forall(proc, func(p *term) *term { return implies(inspector.of(p), and(recoverer(p), ours(p))) }),
}

// Theories are all that are proved.
func Theories() []*Theory {
	return []*Theory{Ours(), Refinement(), PowerLosses(), Posix(), OurOwners(), TheirOwners(), Repaired()}
}

// Find returns the theory of that name, or nil.
func Find(name string) *Theory {
	for _, th := range Theories() {
		if th.Name == name {
			return th
		}
	}
	return nil
}

// Ours is the theory of our processes alone: any number of processes, goroutines,
// ids, inodes, trees, files, crashes and failing calls; with and without unnamed
// files, orphans, mounts, Release and graces.
func Ours() *Theory {
	return &Theory{
		Name: "ours", Says: "our processes, with locks of open file descriptions",
		Hypotheses: append(slices.Clone(assumptions), not(posixLocks), forall(proc, ours)),
		Init:       initial(), Actions: Actions(), Clauses: invariant, Properties: properties, Steps: stepProperties,
		Never: []string{"MakeData/exists", "Commit/lost"},
	}
}

// Of is the theory of a model in which something is swapped, or locks are of another
// kind: what is proved without a rule. The error says what there is no formula for.
func Of(m *model.Model) (*Theory, error) {
	if m.Power != nil && !m.Power.InPlace && len(m.Power.Swap) == 0 {
		return ofPower(m), nil
	}
	if m.Protocol == nil {
		return nil, fmt.Errorf("%s is no model of the protocol", m.Name)
	}
	actions, err := swapped(m.Protocol.Swap)
	if err != nil {
		return nil, err
	}
	formula := model.Spec
	if len(m.Protocol.Upstream) > 0 {
		formula = model.MixedSpec
	}
	protocol, err := model.NewProtocol(*m.Protocol, formula)
	if err != nil {
		return nil, err
	}
	constants := constantsOf(protocol, *m.Protocol)
	th := about(*m.Protocol)
	if th.Name == "ours" && slices.Contains(m.Properties, "TempDirSpec") {
		th = Refinement()
	}
	th.of, th.Name, th.Says, th.swap = th.Name, m.Name, m.Purpose, m.Protocol.Swap
	supposed := len(th.Hypotheses)
	th.Hypotheses = slices.DeleteFunc(th.Hypotheses, func(h *term) bool { return !constants.has(h) })
	if len(th.Hypotheses) < supposed {
		th.Hypotheses = append(th.Hypotheses, slices.DeleteFunc(facts(), func(h *term) bool { return !constants.has(h) })...)
	}
	for _, set := range []struct { // mutants are written for what their models have
		of    *function
		names []string
	}{{inspector, m.Protocol.Inspector}, {victim, m.Protocol.Victim}, {addition, m.Protocol.Addition}, {mounted, m.Protocol.Mounted}} {
		if none := len(m.Protocol.Victim)+len(m.Protocol.Addition)+len(m.Protocol.Mounted) == 0; len(set.names) == 0 && !(none && set.of != inspector) {
			th.Hypotheses = append(th.Hypotheses, forall(set.of.args[0], func(x *term) *term { return not(set.of.of(x)) }))
			th.narrowed++
		}
	}
	others := strangers()
	if len(m.Protocol.Upstream) == 0 {
		others = append(others, theirs(fresh)...)
	}
	th.Actions = slices.DeleteFunc(actions, func(a *Action) bool {
		return slices.ContainsFunc(others, func(o *Action) bool { return o.Name == a.Name })
	})
	return th, nil
}

// about is the theory that a model is about, or without some of its hypotheses would be.
func about(c model.Config) *Theory {
	theirs := func(of []string) bool {
		return slices.ContainsFunc(of, func(p string) bool { return slices.Contains(c.Upstream, p) })
	}
	switch {
	case len(c.Upstream) == 0 && c.LockKind == "ofd":
		return Ours()
	case len(c.Upstream) == 0:
		return Posix()
	case len(c.Repaired) > 0 || len(c.Upstream) == len(c.Creator)+len(c.Recoverer):
		return Repaired()
	case theirs(c.Recoverer):
		return OurOwners()
	}
	return TheirOwners()
}

// facts are those of a model that are added where it does not have all hypotheses: so
// that a proof fails because of what the model drops, and not of something else.
func facts() (all []*term) {
	for _, t := range []*term{mixedFleet, posixLocks, hasTable, oneName} {
		all = append(all, t, not(t))
	}
	for _, role := range []func(*term) *term{func(p *term) *term { return creator.of(p) }, recoverer} {
		for _, is := range []func(*term) *term{func(p *term) *term { return repaired.of(p) }, func(p *term) *term { return not(repaired.of(p)) }} {
			all = append(all, forall(proc, func(p *term) *term { return implies(and(upstream.of(p), role(p)), is(p)) }))
		}
	}
	return all
}

// Actions are those of Next in LockThenData.tla.
func Actions() []*Action { return slices.Concat(create(fresh), remove(), recovery(), environment()) }

// An Obligation is a formula to be proved: its text asks for a counterexample.
type Obligation struct {
	Theory string `json:"theory"`
	Name   string `json:"name"` // Init, an action, or a property
	Text   string `json:"-"`    // SMT-LIB: unsat is the proof

	question *question
}

// A question is an obligation as formulas: whether the conclusion can be false.
type question struct {
	hypotheses []*term
	action     *Action
	conclusion *term
}

// ask is the obligation of that name, with at most so many elements of the sorts in its text.
func ask(theory, name string, bound map[*sort][]string, hypotheses []*term, a *Action, conclusion *term) Obligation {
	return Obligation{theory, name, query(bound, hypotheses, a, conclusion), &question{hypotheses, a, conclusion}}
}

// Consistent asks for a state in which all clauses hold: sat is the answer that is
// wanted, without which everything would be proved.
func (th *Theory) Consistent() Obligation {
	return ask(th.Name, "consistent", sized(Size{2, 1, 1}).elements(), th.knows(), nil, no)
}

// Different are the obligations of a mutant that the proof without it does not have.
func (th *Theory) Different() []Obligation {
	proved, plain := map[string]bool{}, *th
	for _, o := range Find(th.of).Obligations() {
		proved[o.Text] = true
	}
	plain.Hypotheses = plain.Hypotheses[:len(plain.Hypotheses)-th.narrowed]
	for _, o := range plain.Obligations() {
		if proved[o.Text] {
			proved[o.Name] = true
		}
	}
	return slices.DeleteFunc(th.Obligations(), func(o Obligation) bool { return proved[o.Name] })
}

func formulas(clauses []Clause) (all []*term) {
	for _, c := range clauses {
		all = append(all, c.formula)
	}
	return all
}

// Obligations are what is to be proved of the theory, in order.
func (th *Theory) Obligations() (all []Obligation) {
	add := func(name string, hypotheses []*term, a *Action, conclusion *term) {
		all = append(all, ask(th.Name, name, nil, hypotheses, a, conclusion))
	}
	first := slices.Concat(formulas(th.proves()), th.Starts)
	add("Init", slices.Concat(th.Hypotheses, th.Init), nil, and(first...))
	for _, a := range th.Actions {
		if t := th.conclusion(a, th.proves(), th.Steps); t != nil {
			add(a.String(), th.knows(), a, t)
		}
	}
	for _, c := range th.Properties {
		add(c.Name, th.knows(), nil, c.formula)
	}
	return all
}

// Each has one obligation for each clause of an action: which of them are open.
func (th *Theory) Each(action string) ([]Obligation, []Clause) { return th.each(action, "") }

// Only is the obligation of one clause of an action: nil if there is none.
func (th *Theory) Only(action, clause string) []Obligation {
	only, _ := th.each(action, clause)
	return only
}

// each is Each, of one clause if it has a name.
func (th *Theory) each(action, only string) (all []Obligation, clauses []Clause) {
	for _, a := range th.Actions {
		if a.String() != action {
			continue
		}
		for _, c := range slices.Concat(th.proves(), th.Steps) {
			if only != "" && c.Name != only {
				continue
			}
			t := th.conclusion(a, []Clause{c}, nil)
			if slices.ContainsFunc(th.Steps, func(s Clause) bool { return s.Name == c.Name }) {
				t = th.conclusion(a, nil, []Clause{c})
			}
			if t != nil {
				all = append(all, ask(th.Name, action+" "+c.Name, nil, th.knows(), a, t))
				clauses = append(clauses, c)
			}
		}
	}
	return all, clauses
}

// Alone has the obligations of one clause, or of a property: none if it has no such.
func (th *Theory) Alone(clause string) (all []Obligation) {
	for _, a := range th.Actions {
		all = append(all, th.Only(a.String(), clause)...)
	}
	for _, c := range th.Properties {
		if c.Name == clause && len(all) == 0 {
			all = append(all, ask(th.Name, c.Name, nil, th.knows(), nil, c.formula))
		}
	}
	return all
}

// Names are those of the clauses and properties.
func (th *Theory) Names() (names []string) {
	for _, c := range slices.Concat(th.proves(), th.Properties, th.Steps) {
		if !slices.Contains(names, c.Name) {
			names = append(names, c.Name)
		}
	}
	return names
}

// proves are the clauses that its obligations are about.
func (th *Theory) proves() []Clause {
	if th.Again {
		return slices.Concat(th.Known, th.Clauses)
	}
	return th.Clauses
}

func (th *Theory) knows() []*term {
	return append(slices.Clone(th.Hypotheses), formulas(slices.Concat(th.Known, th.Clauses))...)
}

// conclusion is what is to be shown of a step: the clauses, of the state after it,
// that are about something that it changes, and the properties of steps that are. It
// is nil if there are none.
func (th *Theory) conclusion(a *Action, clauses, steps []Clause) *term {
	changes := func(f *function) bool {
		return slices.ContainsFunc(a.changes, func(c change) bool { return c.function == f })
	}
	var all []*term
	for _, c := range clauses {
		if slices.ContainsFunc(functions(c.formula), changes) {
			all = append(all, c.formula.after(changes))
		}
	}
	for _, c := range steps {
		if slices.ContainsFunc(functions(c.formula), func(f *function) bool { return !f.rigid && f.next == nil && changes(f.before()) }) &&
			!(c.Name == "LookingChangesNothing" && a.Name == "Crash") { // which the specification does not ask for either
			all = append(all, c.formula)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return and(all...)
}
