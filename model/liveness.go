package model

import (
	"context"
	"slices"
)

// A live system has fairness conditions, and a property: each of its goals
// holds in the end and from then on.
type live interface {
	system
	// fair returns the set of fairness conditions, at most 64 of them, that a
	// step from s satisfies, and which of all conditions are strong.
	fair() (of func(from Key, action uint16, to Key) uint64, all, strong uint64)
	// goals are the P of <>[]P.
	goals() []func(k Key) bool
}

// A lasso is a behaviour that goes round for ever: the cycle starts and ends at
// state, and is empty if nothing happens there any more.
type lasso struct {
	state int
	cycle []Edge
}

// fairLasso looks for a fair behaviour that comes back for ever to a state
// where one goal is not met. A behaviour may stop where no weakly or strongly
// fair action can go on. Weak fairness is: taken again and again, or disabled
// again and again; strong: taken again and again, or in the end disabled.
func (g *Graph) fairLasso(ctx context.Context, sys live) (*lasso, error) {
	of, all, strong := sys.fair()
	f := &fairness{g: g, ctx: ctx, all: all, strong: strong,
		edge: make([]uint64, len(g.edges)), enabled: make([]uint64, len(g.keys))}
	for s := range g.keys {
		for i, edge := range g.Out(s) {
			if int(edge.To) == s {
				continue // <<A>>_vars: a step that changes nothing is none
			}
			mask := of(g.keys[s], edge.Action, g.keys[edge.To])
			f.edge[int(g.first[s])+i] = mask
			f.enabled[s] |= mask
		}
	}
	everything := make([]uint32, len(g.keys))
	for i := range everything {
		everything[i] = uint32(i)
	}
	var best *lasso
	for _, goal := range sys.goals() {
		if found := f.search(everything, func(s uint32) bool { return !goal(g.keys[s]) }); found != nil &&
			(best == nil || found.state < best.state) {
			best = found
		}
	}
	return best, ctx.Err()
}

type fairness struct {
	g           *Graph
	ctx         context.Context
	edge        []uint64 // conditions that an edge satisfies
	enabled     []uint64 // conditions that can be satisfied by a step
	all, strong uint64
}

// search looks among the states given.
func (f *fairness) search(among []uint32, bad func(uint32) bool) *lasso {
	var best *lasso
	take := func(found *lasso) {
		if found != nil && (best == nil || found.state < best.state) {
			best = found
		}
	}
	for _, c := range f.components(among) {
		if f.ctx.Err() != nil {
			return nil
		}
		if !slices.ContainsFunc(c, bad) {
			continue
		}
		in := map[uint32]bool{}
		for _, s := range c {
			in[s] = true
		}
		taken, sometimes, always := uint64(0), uint64(0), ^uint64(0)
		for _, s := range c {
			sometimes |= f.enabled[s]
			always &= f.enabled[s]
			for i, edge := range f.g.Out(int(s)) {
				if in[edge.To] {
					taken |= f.edge[int(f.g.first[s])+i]
				}
			}
		}
		if missing := f.all &^ f.strong & always &^ taken; missing != 0 {
			continue // a weakly fair action is always enabled and never taken
		}
		if missing := f.strong & sometimes &^ taken; missing != 0 {
			// Strongly fair and not taken: it must not be enabled at all.
			rest := slices.DeleteFunc(slices.Clone(c), func(s uint32) bool { return f.enabled[s]&missing != 0 })
			take(f.search(rest, bad))
			continue
		}
		take(f.lasso(c, in, bad))
	}
	return best
}

// lasso makes a cycle in a component that starts where the goal is not met and
// satisfies every condition.
func (f *fairness) lasso(c []uint32, in map[uint32]bool, bad func(uint32) bool) *lasso {
	start := c[0]
	for _, s := range c {
		if bad(s) && (!bad(start) || s < start) {
			start = s
		}
	}
	l := &lasso{state: int(start)}
	at := start
	// walk goes on to the nearest edge that is wanted, and takes it.
	walk := func(wanted func(from uint32, i int, e Edge) bool) bool {
		path := f.nearest(at, in, wanted)
		l.cycle = append(l.cycle, path...)
		if len(path) > 0 {
			at = path[len(path)-1].To
		}
		return len(path) > 0
	}
	for bit := uint64(1); bit != 0; bit <<= 1 {
		if f.all&bit == 0 {
			continue
		}
		if !walk(func(from uint32, i int, _ Edge) bool { return f.edge[i]&bit != 0 }) && f.enabled[at]&bit != 0 {
			walk(func(_ uint32, _ int, e Edge) bool { return f.enabled[e.To]&bit == 0 })
		}
	}
	if at != start {
		walk(func(_ uint32, _ int, e Edge) bool { return e.To == start })
	}
	return l
}

// nearest returns a shortest path within the component that ends with a wanted
// edge.
func (f *fairness) nearest(from uint32, in map[uint32]bool, wanted func(from uint32, i int, e Edge) bool) []Edge {
	type arrival struct {
		state uint32
		edge  Edge
	}
	came := map[uint32]arrival{from: {}}
	back := func(s uint32, last Edge) []Edge {
		path := []Edge{last}
		for s != from {
			path = append(path, came[s].edge)
			s = came[s].state
		}
		slices.Reverse(path)
		return path
	}
	queue := []uint32{from}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for i, e := range f.g.Out(int(s)) {
			if !in[e.To] || e.To == s {
				continue
			}
			if wanted(s, int(f.g.first[s])+i, e) {
				return back(s, e)
			}
			if _, known := came[e.To]; !known {
				came[e.To] = arrival{s, e}
				queue = append(queue, e.To)
			}
		}
	}
	return nil
}
