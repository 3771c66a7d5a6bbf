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
}

// String is the action as a history has it, without the tree.
func (a Action) String() string {
	return strings.Join(append([]string{string(a.Kind)}, a.Layers...), " ")
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
	{Create, 28}, {Delete, 22}, {Read, 14}, {List, 12}, {Exists, 10}, {Look, 8}, {Recover, 6},
}

// randomProgram returns a program of so many clients and actions for each.
func randomProgram(rng *rand.Rand, clients, actions int) Program {
	program := make(Program, clients)
	for i := range program {
		for range actions {
			program[i] = append(program[i], randomAction(rng))
		}
	}
	return program
}

func randomAction(rng *rand.Rand) Action {
	n := rng.IntN(100)
	for _, w := range kindWeights {
		if n -= w.weight; n < 0 {
			return newAction(w.kind, rng.IntN(len(layerNames)), rng.IntN(4) == 0)
		}
	}
	panic("the weights do not sum up to 100")
}

// newAction returns an action on the layer with that index; a deletion of two
// takes the next one as well.
func newAction(kind Kind, layer int, two bool) Action {
	a := Action{Kind: kind}
	if arguments[kind][1] > 0 {
		a.Layers = []string{layerNames[layer]}
	}
	if kind == Delete && two {
		a.Layers = append(a.Layers, layerNames[(layer+1)%len(layerNames)])
	}
	return a
}
