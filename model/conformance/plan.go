//go:build linux

package conformance

import (
	"slices"

	"github.com/afterlock/afterlock/model"
)

// A walk goes through a state graph from its initial state: for each step the
// index of the edge among those that leave the state.
type walk []uint16

// detour bounds how many covered edges a walk goes over to come to one that is
// not. Beyond it, a new walk from the start is about as short.
const detour = 12

// A planner finds walks that together cover every edge of a graph. How many it
// takes is up to the graph: a walk has one crash and one failing call at most,
// and most edges are one of the two, so each walk is short and begins anew.
type planner struct {
	g    *model.Graph
	done [][]bool // edges, by state, that some walk has covered
	left []int    // how many edges of a state are not covered
	into [][]back // by state, the last edges of its shortest walks
	last int      // no later state has an edge that is not covered

	// Memory of the search for the next edge.
	seen  []uint32 // the round in which a state was seen
	round uint32
	queue []hop
}

// A back is an edge, seen from where it leads to.
type back struct {
	from int
	k    uint16
}

// A hop is how a search came to a state.
type hop struct {
	state  int
	from   int // index in the queue, or -1
	edge   uint16
	length int
}

func newPlanner(g *model.Graph) *planner {
	p := &planner{g: g, done: make([][]bool, g.States()), left: make([]int, g.States()),
		into: make([][]back, g.States()), seen: make([]uint32, g.States()), last: g.States() - 1}
	distance := make([]int, g.States())
	for s := range g.States() { // a state comes after all that are nearer
		p.done[s] = make([]bool, len(g.Out(s)))
		p.left[s] = len(g.Out(s))
		for k, e := range g.Out(s) {
			to := int(e.To)
			if to != 0 && distance[to] == 0 {
				distance[to] = distance[s] + 1
			}
			if distance[to] == distance[s]+1 {
				p.into[to] = append(p.into[to], back{s, uint16(k)})
			}
		}
	}
	return p
}

// next returns the next walk, or nil if every edge is covered. The walk first
// goes to the farthest state with an edge that is not covered (states are in
// the order of their distance), by a shortest way with edges that are not covered
// either, and then on for as long as there is one nearby.
func (p *planner) next() walk {
	for p.last >= 0 && p.left[p.last] == 0 {
		p.last--
	}
	if p.last < 0 {
		return nil
	}
	w, at := p.to(p.last), 0
	for _, k := range w {
		at = p.cover(at, k)
	}
	for {
		way := p.nearest(at)
		if way == nil {
			return w
		}
		w = append(w, way...)
		for _, k := range way {
			at = p.cover(at, k)
		}
	}
}

// to is a shortest walk to a state. Going back from there, it prefers edges that are not
// covered, and states with many of them.
func (p *planner) to(state int) (w walk) {
	for state != 0 {
		best, most := back{}, -1
		for _, b := range p.into[state] {
			n := p.left[b.from]
			if !p.done[b.from][b.k] {
				n += len(p.g.Actions)
			}
			if n > most {
				best, most = b, n
			}
		}
		w, state = append(w, best.k), best.from
	}
	slices.Reverse(w)
	return w
}

// shortest is a shortest walk to a state.
func shortest(g *model.Graph, state int) (w walk) {
	at := 0
	for _, edge := range g.Path(state) {
		w = append(w, uint16(slices.Index(g.Out(at), edge)))
		at = int(edge.To)
	}
	return w
}

// cover notes that an edge is covered, and returns where it leads.
func (p *planner) cover(state int, k uint16) (to int) {
	if !p.done[state][k] {
		p.done[state][k] = true
		p.left[state]--
	}
	return int(p.g.Out(state)[k].To)
}

// nearest is a shortest way from a state over an edge that is not covered, with
// at most detour edges before it, or nil.
func (p *planner) nearest(from int) walk {
	p.round++
	p.seen[from] = p.round
	p.queue = append(p.queue[:0], hop{state: from, from: -1})
	for i := 0; i < len(p.queue); i++ {
		h := p.queue[i]
		if p.left[h.state] > 0 {
			// Of several the last: Next begins with failing calls and crashes,
			// after which less is left to do.
			k := len(p.done[h.state]) - 1
			for p.done[h.state][k] {
				k--
			}
			way := walk{uint16(k)}
			for ; h.from >= 0; h = p.queue[h.from] {
				way = append(way, h.edge)
			}
			slices.Reverse(way)
			return way
		}
		if h.length == detour {
			continue
		}
		for k, edge := range p.g.Out(h.state) {
			if to := int(edge.To); p.seen[to] != p.round {
				p.seen[to] = p.round
				p.queue = append(p.queue, hop{to, i, uint16(k), h.length + 1})
			}
		}
	}
	return nil
}
