package proof

import "slices"

// A Theory is what is proved: that under its hypotheses the invariant is inductive,
// and implies the properties.
type Theory struct {
	Name       string
	Says       string
	Hypotheses []*term
	Actions    []*Action
	Clauses    []Clause
	Properties []Clause
	Steps      []Clause
}

// assumptions are those of Kernel.tla that a sort does not say.
var assumptions = []*term{
	forall(item, func(x *term) *term {
		v, a, m := victim.of(x), addition.of(x), mounted.of(x)
		return and(or(v, a, m), not(and(v, a)), not(and(v, m)), not(and(a, m)))
	}),
	forall(proc, func(p *term) *term { return implies(inspector.of(p), and(recoverer(p), ours(p))) }),
}

// Ours is the theory of our processes alone: any number of processes, goroutines,
// ids, inodes, trees, files, crashes and failing calls; with and without unnamed
// files, orphans, mounts, Release and graces.
func Ours() *Theory {
	return &Theory{
		Name: "ours", Says: "our processes, with locks of open file descriptions",
		Hypotheses: append(slices.Clone(assumptions), not(posixLocks), forall(proc, ours)),
		Actions:    Actions(), Clauses: invariant, Properties: properties, Steps: stepProperties,
	}
}

// Actions are those of Next in LockThenData.tla.
func Actions() []*Action { return slices.Concat(create(fresh), remove(), recovery(), environment()) }

// An Obligation is a formula to be proved: its text asks for a counterexample.
type Obligation struct {
	Theory string `json:"theory"`
	Name   string `json:"name"` // Init, an action, or a property
	Text   string `json:"-"`    // SMT-LIB: unsat is the proof
}

func formulas(clauses []Clause) (all []*term) {
	for _, c := range clauses {
		all = append(all, c.formula)
	}
	return all
}

// Obligations are what is to be proved of the theory, in order.
func (th *Theory) Obligations() (all []Obligation) {
	add := func(name, text string) { all = append(all, Obligation{th.Name, name, text}) }
	add("Init", query(nil, append(slices.Clone(th.Hypotheses), initial()...), nil, and(formulas(th.Clauses)...)))
	for _, a := range th.Actions {
		if t := th.conclusion(a, th.Clauses, th.Steps); t != nil {
			add(a.String(), query(nil, th.knows(), a, t))
		}
	}
	for _, c := range th.Properties {
		add(c.Name, query(nil, th.knows(), nil, c.formula))
	}
	return all
}

func (th *Theory) knows() []*term {
	return append(slices.Clone(th.Hypotheses), formulas(th.Clauses)...)
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
			!(c.Name == "LookingChangesNothing" && a.Name == "Crash") {
			all = append(all, c.formula)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return and(all...)
}
