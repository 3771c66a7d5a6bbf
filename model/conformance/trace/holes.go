package trace

import (
	"fmt"
	"slices"
)

// A gap is when a process may have cut a record off: after its last record, or
// from the beginning if it has none, and before it was reaped. It can have done so
// once.
type gap struct{ after, before uint64 }

// holes finds records that are missing and that no kill can have cut off: then the
// recorder has lost something, and the trace says nothing.
func (v *validation) holes() {
	if v.trace.Holes == 0 {
		return
	}
	var gaps []gap
	for _, p := range v.processes {
		gaps = append(gaps, gap{p.last, p.gone})
	}
	lost := func(ticket uint64) bool {
		first := -1 // to close, of those that the ticket is in
		for i, g := range gaps {
			if g.after <= ticket && ticket <= g.before && (first < 0 || g.before < gaps[first].before) { // after is equal only if it has none
				first = i
			}
		}
		if first < 0 {
			v.found = append(v.found, finding{ticket, Undecided,
				fmt.Sprintf("event %d was not recorded, and no kill can have cut it off: the recorder has lost it", ticket)})
			return true
		}
		gaps = slices.Delete(gaps, first, first+1)
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
