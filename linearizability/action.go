package linearizability

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// An Action is one operation of a program, before it has a client, a tree and a
// result.
type Action struct {
	Kind   Kind     `json:"kind"`
	Layers []string `json:"layers,omitempty"`
	Parent string   `json:"parent,omitempty"` // of create
	Image  bool     `json:"image,omitempty"`
}

// String is the action as a history has it, without the tree.
func (a Action) String() string {
	op := Operation{Kind: a.Kind, Layers: a.Layers, Parent: a.Parent, Image: a.Image}
	return op.invocation()
}

// A Program is what the clients of one process do, one after the other each.
type Program [][]Action

// String is a line a client.
func (p Program) String() string {
	var b strings.Builder
	for i, client := range p {
		var actions []string
		for _, a := range client {
			actions = append(actions, a.String())
		}
		fmt.Fprintf(&b, "client %d: %s\n", i, strings.Join(actions, "; "))
	}
	return b.String()
}

// layerNames are the layers of generated programs: few, so that clients meet.
var layerNames = []string{"a", "b", "c"}

// kindWeights are how often generated programs have an operation, in percent.
var kindWeights = []struct {
	kind   Kind
	weight int
}{
	{Create, 28}, {Delete, 22}, {Read, 12}, {List, 10}, {Exists, 6}, {Look, 8}, {Recover, 6}, {Mount, 3}, {Unmount, 5},
}

// A mix says what additions of a generated program may be.
type mix struct{ images, parents bool }

// randomProgram returns a program of so many clients and actions for each.
func randomProgram(rng *rand.Rand, clients, actions int, m mix) Program {
	program := make(Program, clients)
	for i := range program {
		for range actions {
			program[i] = append(program[i], randomAction(rng, m))
		}
	}
	return program
}

func randomAction(rng *rand.Rand, m mix) Action {
	n := rng.IntN(100)
	for _, w := range kindWeights {
		if n -= w.weight; n < 0 {
			another := rng.IntN(4) == 0
			if w.kind == Create {
				another = m.parents && rng.IntN(2) == 0
			}
			a := newAction(w.kind, rng.IntN(len(layerNames)), another)
			a.Image = m.images && w.kind == Create && rng.IntN(2) == 0
			return a
		}
	}
	panic("the weights do not sum up to 100")
}

// newAction returns an action on the layer with that index. With another one, a
// deletion takes the next layer as well, and an addition is made on the one before.
func newAction(kind Kind, layer int, another bool) Action {
	a := Action{Kind: kind}
	if arguments[kind][1] > 0 {
		a.Layers = []string{layerNames[layer]}
	}
	switch {
	case another && kind == Delete:
		a.Layers = append(a.Layers, layerNames[(layer+1)%len(layerNames)])
	case another && kind == Create:
		a.Parent = layerNames[(layer+len(layerNames)-1)%len(layerNames)]
	}
	return a
}
