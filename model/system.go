package model

import "strings"

// A Step is one way on from a state.
type Step struct {
	To     Key
	Action uint16 // index in Actions
	broken uint8  // the step property that it breaks, from 1, or 0
}

// An Action is one action of the specification with its arguments: an instance,
// such as LinkLock(c1,i1).
type Action struct {
	Name string // of the definition: a mutant has its own
	Slot string // of the action in Next; Name, unless a mutant is swapped in
	Args []string
	p, i uint8 // the arguments, as numbers
}

// String is the label of the specification's edges: LinkLock(c1,i1).
func (a Action) String() string {
	if len(a.Args) == 0 {
		return a.Name
	}
	return a.Name + "(" + strings.Join(a.Args, ",") + ")"
}

// A system is a transition system: one of the specification's, with its sizes,
// swapped actions and properties. Its methods are safe for concurrent use.
type system interface {
	// initial is the one initial state.
	initial() Key
	// actions are the instances of Next, in its order.
	actions() []Action
	// properties are the names of what is checked: of states, then of steps.
	properties() (invariants, stepProperties []string)
	// newExpander makes the working memory of one worker.
	newExpander() expander
	// text is the canonical text of a state, see "Digest" in spec/README.md.
	text(k Key) string
	// processes are whose variables have columns of their own in a counterexample.
	processes() []string
}

// An expander computes steps. It is not safe for concurrent use.
type expander interface {
	// expand appends the steps from k to out, in the order of actions, and
	// returns the index from 1 of the first invariant that k breaks, or 0.
	expand(k Key, out []Step) ([]Step, uint8)
	// falseGuard returns the first guard of the action that is false in k, as
	// the specification writes it, or "" if the action is enabled.
	falseGuard(k Key, action uint16) string
}
