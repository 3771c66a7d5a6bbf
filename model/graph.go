package model

import (
	"context"
	"runtime"
	"slices"
)

// A Graph is a whole state graph in memory, for questions about more than one
// state. States are numbered from 0 in the order of a breadth-first search,
// the same whatever the number of workers. Memory: 28 bytes a state, 8 an edge.
type Graph struct {
	Actions []Action // what Edge.Action refers to

	sys     system
	keys    []Key
	parents []uint32 // the state before, on a shortest path
	first   []uint32 // edges of state i: edges[first[i]:first[i+1]]
	edges   []Edge
}

// An Edge is one labelled step.
type Edge struct {
	To     uint32
	Action uint16 // index in Actions
}

// graph builds the graph of a finished exploration.
func (e *exploration) graph(ctx context.Context, workers int) (*Graph, error) {
	g := &Graph{sys: e.sys, Actions: e.sys.actions()}
	total := e.distinct()
	g.keys, g.parents, g.first = make([]Key, 0, total), make([]uint32, 0, total), make([]uint32, 1, total+1)
	var number [shardCount][]uint32
	for s, n := range e.counted() {
		number[s] = make([]uint32, n)
	}
	ends := append(slices.Clone(e.levels[1:]), e.counted())
	for level, from := range e.levels {
		for s := range shardCount {
			for i := from[s]; i < ends[level][s]; i++ {
				at := nodeOf(s, i)
				number[s][i] = uint32(len(g.keys))
				g.keys = append(g.keys, e.store.key(at))
				parent := uint32(0)
				if p := e.store.parent(at); p != noNode {
					parent = number[p.shard()][p.index()]
				}
				g.parents = append(g.parents, parent)
			}
		}
	}
	type part struct {
		edges  []Edge
		counts []uint32
	}
	const chunk = 1024
	parts := make([]part, (len(g.keys)+chunk-1)/chunk)
	parallel(newWorkers(e.sys, workers), len(parts), func(w *worker, i int) {
		if ctx.Err() != nil {
			return
		}
		for _, k := range g.keys[i*chunk : min((i+1)*chunk, len(g.keys))] {
			w.steps, _ = w.expander.expand(k, w.steps[:0])
			for _, s := range w.steps {
				to, _ := e.store.find(s.To)
				parts[i].edges = append(parts[i].edges, Edge{number[to.shard()][to.index()], s.Action})
			}
			parts[i].counts = append(parts[i].counts, uint32(len(w.steps)))
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	g.edges = make([]Edge, 0, e.generated-1)
	for _, p := range parts {
		g.edges = append(g.edges, p.edges...)
		for _, n := range p.counts {
			g.first = append(g.first, g.first[len(g.first)-1]+n)
		}
	}
	return g, nil
}

func newWorkers(sys system, n int) []*worker {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	workers := make([]*worker, n)
	for i := range workers {
		workers[i] = &worker{expander: sys.newExpander(), counts: make([]int64, len(sys.actions()))}
	}
	return workers
}

// States is the number of states.
func (g *Graph) States() int { return len(g.keys) }

// Edges is the number of edges.
func (g *Graph) Edges() int { return len(g.edges) }

// Out returns the edges from a state. The slice is the graph's own.
func (g *Graph) Out(state int) []Edge { return g.edges[g.first[state]:g.first[state+1]] }

// Text is the canonical text of a state, see "Digest" in spec/README.md.
func (g *Graph) Text(state int) string { return g.sys.text(g.keys[state]) }

// State returns a state of a model of the protocol. For other modules ok is
// false.
func (g *Graph) State(state int) (s State, ok bool) {
	if _, ok = g.sys.(*Protocol); ok {
		unpack(g.keys[state], &s)
	}
	return s, ok
}

// Path returns a shortest path from the initial state to a state: the edges in
// order. Every prefix of it is the path to its own end.
func (g *Graph) Path(state int) []Edge {
	var path []Edge
	for state != 0 {
		before := int(g.parents[state])
		for _, edge := range g.Out(before) {
			if int(edge.To) == state {
				path = append(path, edge)
				break
			}
		}
		state = before
	}
	slices.Reverse(path)
	return path
}

// Disabled calls visit for every state and every action that is disabled in it,
// with the first guard that is false, as the specification writes it. It takes one evaluation of each action in
// each state.
func (g *Graph) Disabled(visit func(state int, action uint16, guard string)) {
	x := g.sys.newExpander()
	for state, k := range g.keys {
		for action := range g.Actions {
			if guard := x.falseGuard(k, uint16(action)); guard != "" {
				visit(state, uint16(action), guard)
			}
		}
	}
}
