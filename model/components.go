package model

// components returns the strongly connected components of the subgraph on some
// states, single states included (Tarjan's algorithm, without recursion).
func (f *fairness) components(among []uint32) [][]uint32 {
	const unseen = 0
	g := f.g
	index := make([]uint32, len(g.keys)) // order of discovery, from 1
	low := make([]uint32, len(g.keys))
	onStack := make([]bool, len(g.keys))
	allowed := make([]bool, len(g.keys))
	for _, s := range among {
		allowed[s] = true
	}
	type frame struct {
		state uint32
		next  int
	}
	var (
		stack  []uint32
		calls  []frame
		found  [][]uint32
		number uint32
	)
	enter := func(s uint32) {
		number++
		index[s], low[s], onStack[s] = number, number, true
		stack = append(stack, s)
		calls = append(calls, frame{state: s})
	}
	for _, root := range among {
		if index[root] != unseen {
			continue
		}
		enter(root)
		for len(calls) > 0 {
			top := &calls[len(calls)-1]
			s := top.state
			if out := g.Out(int(s)); top.next < len(out) {
				to := out[top.next].To
				top.next++
				switch {
				case !allowed[to]:
				case index[to] == unseen:
					enter(to)
				case onStack[to]:
					low[s] = min(low[s], index[to])
				}
				continue
			}
			calls = calls[:len(calls)-1]
			if len(calls) > 0 {
				before := calls[len(calls)-1].state
				low[before] = min(low[before], low[s])
			}
			if low[s] != index[s] {
				continue
			}
			for at := len(stack) - 1; ; at-- {
				onStack[stack[at]] = false
				if stack[at] == s {
					found = append(found, append([]uint32{}, stack[at:]...))
					stack = stack[:at]
					break
				}
			}
		}
	}
	return found
}
