package trace

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/model"
)

const (
	maxReasons = 5  // that a refusal gives
	lastEvents = 15 // that a refusal shows
)

// A refusal says where a partition stops to be a behaviour.
type refusal struct {
	at        moment
	before    int      // operations that had returned by then
	reasons   []string // why no configuration allows it, the first few
	states    []string // one configuration in words, where that helps
	invariant string   // which invariant of the model is broken
	because   string   // not refused: undecided
}

// explain says why no configuration of the closure allows what must have
// happened.
func (y *search) explain(at moment, slot uint8, crash bool, before int) *refusal {
	r := &refusal{at: at, before: before}
	y.explains = true
	defer func() { y.explains = false }()
	count := make(map[string]int)
	for i := range y.closure {
		c := y.closure[i]
		switch {
		case crash:
			y.why = "the crash of the process is not possible"
		case c.taken&crashedBit(slot) != 0:
			continue // dead before its call took effect: it could not have returned
		default:
			y.apply(y.open[slot], &c)
		}
		text := fmt.Sprintf("%s; the model allows this process only %s", y.why, y.allows(&c.state, slot))
		if count[text]++; count[text] == 1 && len(count) == 1 {
			r.states = y.m.protocol.Words(c.state)
		}
	}
	reasons := slices.Collect(maps.Keys(count))
	slices.SortFunc(reasons, func(a, b string) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) })
	for _, text := range reasons[:min(len(reasons), maxReasons)] {
		r.reasons = append(r.reasons, fmt.Sprintf("in %d of %d configurations: %s", count[text], len(y.closure), text))
	}
	return r
}

// allows lists the actions of the process in the slot that a state enables.
func (y *search) allows(s *model.State, slot uint8) string {
	name := y.m.protocol.Procs()[slot-1]
	var enabled []string
	for i, a := range y.m.protocol.Actions() {
		if len(a.Args) > 0 && a.Args[0] == name && len(y.m.unnamed.Take(s, uint16(i))) > 0 {
			enabled = append(enabled, a.String())
		}
	}
	if len(enabled) == 0 {
		return "nothing"
	}
	return strings.Join(enabled, ", ")
}

// broken is an invariant that a state breaks, or "". No behaviour of the model
// does, so this is about the model: the trace has more processes after each
// other than any that was explored.
func (y *search) broken(s *model.State) string {
	switch {
	case !y.m.protocol.OneOwner(s):
		return "OneOwner"
	case !y.m.protocol.LiveIsLocked(s):
		return "LiveIsLocked"
	}
	return ""
}

// text is the refusal for people, a few lines with the last events of the id.
func (r *refusal) text(t *Trace, p *partition, m *machine) string {
	var b strings.Builder
	s := r.at.by
	if r.at.op != nil {
		s = r.at.op.session
	}
	name := "a process"
	if s.slot != 0 {
		name = m.protocol.Procs()[s.slot-1]
	}
	at := eventAt(t, r.at.ticket)
	fmt.Fprintf(&b, "instance %v: no behaviour of the model explains this\n", p.id)
	fmt.Fprintf(&b, "  longest prefix that is a behaviour: the %d events before ticket %d, with %d calls of this instance that have returned\n",
		at, r.at.ticket, r.before)
	if at < len(t.Events) && t.Events[at].Ticket == r.at.ticket {
		fmt.Fprintf(&b, "  next event: %d %v\n", r.at.ticket, &t.Events[at])
	}
	if o := r.at.op; o != nil {
		fmt.Fprintf(&b, "  process %d is %s of the model, and %s (call at ticket %d)\n", s.process.number, name, opTexts[o.kind], o.call)
	} else {
		fmt.Fprintf(&b, "  process %d is %s of the model, and dead\n", s.process.number, name)
	}
	if r.invariant != "" {
		fmt.Fprintf(&b, "  it is a behaviour, and breaks the invariant %s: the specification is wrong\n", r.invariant)
	}
	for _, reason := range r.reasons {
		fmt.Fprintf(&b, "  %s\n", reason)
	}
	if len(r.states) > 0 {
		fmt.Fprintf(&b, "  one of the configurations:\n")
		for i, words := range r.states {
			who := "disk"
			if i < len(m.protocol.Procs()) {
				who = m.protocol.Procs()[i]
			}
			fmt.Fprintf(&b, "    %-4s  %s\n", who, words)
		}
	}
	fmt.Fprintf(&b, "  the last events of this instance:\n")
	for _, i := range lastOf(t, p, at) {
		e := &t.Events[i]
		fmt.Fprintf(&b, "    %8d  %v\n", e.Ticket, e)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// eventAt is the index of the first event with at least this ticket.
func eventAt(t *Trace, ticket uint64) int {
	i, _ := slices.BinarySearchFunc(t.Events, ticket, func(e Event, ticket uint64) int { return cmp.Compare(e.Ticket, ticket) })
	return i
}

// lastOf returns the indices of the last events that are about an id, up to and
// with the one at index to: those of its operations, and those that name it.
func lastOf(t *Trace, p *partition, to int) []int {
	about := make(map[int]bool)
	add := func(ticket uint64) {
		if i := eventAt(t, ticket); i < len(t.Events) && t.Events[i].Ticket == ticket && i <= to {
			about[i] = true
		}
	}
	for i := range p.ops {
		if kind := p.ops[i].kind; kind != opSawLock && kind != opSawData {
			add(p.ops[i].call)
			add(p.ops[i].ret)
		}
	}
	for _, s := range p.sessions {
		add(s.process.gone)
	}
	for _, ticket := range p.tickets {
		add(ticket)
	}
	list := slices.Sorted(maps.Keys(about))
	return list[max(0, len(list)-lastEvents):]
}
