package trace

import (
	"cmp"
	"fmt"
	"slices"
)

// defaultBudget bounds the configs of one id, in all.
const defaultBudget = 2_000_000

// A moment is when the trace says something about the open calls of an id.
type moment struct {
	ticket uint64
	kind   momentKind
	op     *op      // of called and returned
	by     *session // of dying and dead
}

type momentKind uint8

const (
	called   momentKind = iota // the call is open: it may take effect
	returned                   // the call must have taken effect
	dying                      // the process may be dead
	dead                       // the process is dead
)

// A search replays one partition.
type search struct {
	player
	configs []config
	seen    map[config]struct{} // of the closure, once it is large
	closure []config
	open    [maxSlots + 1]*op
	dying   [maxSlots + 1]bool
	slots   [maxSlots + 1]*session
	budget  int // of configs
	made    int
	most    int // at one time
}

// moments puts the operations of a partition in the order of tickets.
func (p *partition) moments(truncated bool) []moment {
	list := make([]moment, 0, 2*len(p.ops)+2*len(p.sessions))
	for i := range p.ops {
		o := &p.ops[i]
		list = append(list, moment{ticket: o.call, kind: called, op: o})
		if o.ret != never {
			list = append(list, moment{ticket: o.ret, kind: returned, op: o})
		}
	}
	for _, s := range p.sessions {
		// If the end of the trace is missing, so may be the word of a death.
		if s.process.gone != never || truncated {
			list = append(list, moment{ticket: s.process.last, kind: dying, by: s})
		}
		if s.process.gone != never {
			list = append(list, moment{ticket: s.process.gone, kind: dead, by: s})
		}
	}
	slices.SortStableFunc(list, func(a, b moment) int {
		return cmp.Or(cmp.Compare(a.ticket, b.ticket), cmp.Compare(a.kind, b.kind))
	})
	return list
}

// run replays the partition; nil says that it is a behaviour.
func (y *search) run(p *partition, m *machine, truncated bool) *refusal {
	y.player = player{m: m, part: p, out: y.out, listen: y.listen}
	y.configs = append(y.configs[:0], config{state: m.start(p.orphan)})
	y.open, y.dying, y.slots = [maxSlots + 1]*op{}, [maxSlots + 1]bool{}, [maxSlots + 1]*session{}
	y.made, y.most = 0, 1
	before := 0
	for _, at := range p.moments(truncated) {
		switch at.kind {
		case called:
			if at.op.session.slot == 0 && !y.place(at.op.session) {
				return &refusal{at: at, because: "more than the model's processes at a time"}
			}
			y.open[at.op.session.slot] = at.op
		case returned:
			slot := at.op.session.slot
			if r := y.force(at, slot, false, before); r != nil {
				return r
			}
			before++
			y.open[slot] = nil
			if at.op.ends {
				y.leave(slot)
			}
		case dying:
			if slot := at.by.slot; slot != 0 {
				y.dying[slot] = true
			}
		case dead:
			slot := at.by.slot
			if slot == 0 {
				continue
			}
			if r := y.force(at, slot, true, before); r != nil {
				return r
			}
			y.leave(slot)
		}
	}
	return nil
}

// place gives a session a free slot.
func (y *search) place(s *session) bool {
	first, last := 1, y.m.creators
	if s.recoverer {
		first, last = y.m.creators+1, maxSlots
	}
	for slot := first; slot <= last; slot++ {
		if y.slots[slot] == nil {
			y.slots[slot], s.slot = s, uint8(slot)
			return true
		}
	}
	return false
}

// leave frees a slot: another process may take its place.
func (y *search) leave(slot uint8) {
	y.slots[slot].slot = 0
	y.slots[slot], y.open[slot], y.dying[slot] = nil, nil, false
}

// force keeps the configs in which the open call of a slot, or its crash, has
// taken effect, after letting other open calls take effect before it where that
// is needed or possible.
func (y *search) force(at moment, slot uint8, crash bool, before int) *refusal {
	bit := takenBit(slot)
	if crash {
		bit = crashedBit(slot)
	}
	clear := ^(takenBit(slot) | crashedBit(slot))
	if !crash {
		clear = ^bit
	}
	y.closure = append(y.closure[:0], y.configs...)
	y.seen = nil
	done := y.configs[:0]
	for i := 0; i < len(y.closure); i++ {
		c := y.closure[i]
		if c.taken&bit != 0 {
			c.taken &= clear
			if !slices.Contains(done, c) {
				done = append(done, c)
			}
			continue
		}
		y.expand(&c)
		if y.made+len(y.closure) > y.budget {
			return &refusal{at: at, because: fmt.Sprintf("more than %d configurations", y.budget)}
		}
	}
	y.made += len(y.closure)
	if len(done) == 0 {
		return y.explain(at, slot, crash, before)
	}
	for i := range done {
		if name := y.broken(&done[i].state); name != "" {
			return &refusal{at: at, before: before, invariant: name, states: y.m.protocol.Words(done[i].state)}
		}
	}
	y.configs = done
	y.most = max(y.most, len(done))
	return nil
}

// expand adds to the closure what one more effect leads to.
func (y *search) expand(c *config) {
	for slot := uint8(1); slot <= maxSlots; slot++ {
		if c.taken&crashedBit(slot) != 0 {
			continue
		}
		if o := y.open[slot]; o != nil && c.taken&takenBit(slot) == 0 {
			y.apply(o, c)
			y.reach()
		}
		if y.dying[slot] {
			y.crash(slot, c)
			y.reach()
		}
	}
}

// reach adds configs to the closure that are not there.
func (y *search) reach() {
	const few = 32
	for _, c := range y.out {
		if y.seen == nil && len(y.closure) < few {
			if !slices.Contains(y.closure, c) {
				y.closure = append(y.closure, c)
			}
			continue
		}
		if y.seen == nil {
			y.seen = make(map[config]struct{}, 4*few)
			for _, old := range y.closure {
				y.seen[old] = struct{}{}
			}
		}
		if _, ok := y.seen[c]; !ok {
			y.seen[c] = struct{}{}
			y.closure = append(y.closure, c)
		}
	}
}
