package trace

import (
	"cmp"
	"container/heap"
	"fmt"
	"slices"
)

// A gap is when a process may have cut a record off: after its last record, or
// from the beginning if it has none, and before it was reaped. It can have done so
// once.
type gap struct{ after, before uint64 }

// gaps is a heap, the one that closes first at the top.
type gaps []gap

func (g gaps) Len() int           { return len(g) }
func (g gaps) Less(i, j int) bool { return g[i].before < g[j].before }
func (g gaps) Swap(i, j int)      { g[i], g[j] = g[j], g[i] }
func (g *gaps) Push(x any)        { *g = append(*g, x.(gap)) }
func (g *gaps) Pop() any {
	old := *g
	last := old[len(old)-1]
	*g = old[:len(old)-1]
	return last
}

// holes finds records that are missing and that no kill can have cut off: then the
// recorder has lost something, and the trace says nothing.
func (v *validation) holes() {
	if v.trace.Holes == 0 {
		return
	}
	var all []gap
	for _, p := range v.processes {
		all = append(all, gap{p.last, p.gone})
	}
	slices.SortFunc(all, func(a, b gap) int { return cmp.Compare(a.after, b.after) })
	var open gaps
	lost := func(ticket uint64) bool {
		for len(all) > 0 && all[0].after <= ticket { // equal only if it has none
			heap.Push(&open, all[0])
			all = all[1:]
		}
		for len(open) > 0 && open[0].before < ticket {
			heap.Pop(&open)
		}
		if len(open) == 0 {
			v.found = append(v.found, finding{ticket, Undecided,
				fmt.Sprintf("event %d was not recorded, and no kill can have cut it off: the recorder has lost it", ticket)})
			return true
		}
		heap.Pop(&open)
		return false
	}
	ticket, left := uint64(0), v.trace.Holes
	for i := range v.trace.Events {
		for ; ticket < v.trace.Events[i].Ticket; ticket++ {
			if left--; lost(ticket) {
				return
			}
		}
		ticket++
	}
	for ; left > 0; left-- { // at the end
		if lost(ticket) {
			return
		}
		ticket++
	}
}
