package model

import "fmt"

// This file is what other checks ask the protocol, one state at a time. A
// [Graph] answers for all states at once.

// Formulas that a protocol can be made for: what its Next consists of.
const (
	Spec      = "Spec"      // our processes only
	SweptSpec = "SweptSpec" // and a stranger who removes data directories
	MixedSpec = "MixedSpec" // and upstream processes

	CleanedSpec = "CleanedSpec" // and a stranger who removes lock files
)

// NewProtocol makes the protocol for a configuration of one's own, without
// symmetry and without properties to check while exploring. The error says what
// does not fit: at most 4 processes, 2 ids, 3 trees, 3 files, 3 crashes and 3
// failing calls.
func NewProtocol(c Config, formula string) (m *Protocol, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			m, err = nil, fmt.Errorf("%v", reason)
		}
	}()
	switch formula {
	case Spec, SweptSpec, CleanedSpec, MixedSpec:
		return newProtocol(c, noScheme, formula, "", nil), nil
	}
	return nil, fmt.Errorf("model: no formula %q", formula)
}

// A Successor is a state that one action leads to.
type Successor struct {
	Action uint16 // index in Actions
	State  State
}

// Init is the initial state.
func (m *Protocol) Init() State { return m.init() }

// Actions are the instances of Next, in its order. The slice is the protocol's.
func (m *Protocol) Actions() []Action { return m.table }

// Procs, IDs and Items are the names that the numbers in a State stand for:
// number 1 is the first of them.
func (m *Protocol) Procs() []string { return m.procNames }

// IDs is described at Procs.
func (m *Protocol) IDs() []string { return m.idNames }

// Items is described at Procs.
func (m *Protocol) Items() []string { return m.itemNames }

// Inodes is how many inode numbers there are.
func (m *Protocol) Inodes() int { return int(m.inodes) }

// Steps returns every step from a state, in the order of Actions.
func (m *Protocol) Steps(s State) []Successor {
	steps, _ := m.newExpander().expand(pack(&s), nil)
	successors := make([]Successor, len(steps))
	for i, step := range steps {
		successors[i] = successor(step)
	}
	return successors
}

// FalseGuard returns the first guard of an action that is false in a state, as
// the specification writes it, or "" if the action is enabled.
func (m *Protocol) FalseGuard(s State, action uint16) string {
	return m.newExpander().falseGuard(pack(&s), action)
}

// Text is the canonical text of a state, see "Digest" in spec/README.md.
func (m *Protocol) Text(s State) string { return m.textOf(&s) }

// Words are the variables of each process, in the order of Procs, and last all
// others: those that say anything.
func (m *Protocol) Words(s State) []string { return words(m.textOf(&s), "", m.procNames) }
