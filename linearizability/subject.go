package linearizability

import (
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/afterlock/afterlock/model"
)

// A subject is a history in the form in which Porcupine judges it.
type subject struct {
	h      *History
	trees  []tree
	byName map[string]int
	of     map[string][]int   // layer: its trees
	owners map[*Operation]int // deletion: its index, from 1
	lanes  map[Client]int

	// Of a reduction: what is left out, what is left out if it has no effect, and
	// what has no response yet.
	omitted, relaxed, open map[*Operation]bool

	cleanings []*Operation // recoveries that left nothing, with nobody else at work

	children map[string][]int // layer: the trees that are made on it
}

type tree struct {
	name, layer string
	create      *Operation
}

// A move is one step of the model: an operation, or a part of one, in one
// partition.
type move struct {
	op    *Operation
	text  string
	apply func(world) (world, bool)
	may   bool // or nothing happens: the operation was cut off
}

func newSubject(h *History) *subject {
	s := &subject{h: h, byName: map[string]int{}, of: map[string][]int{}, owners: map[*Operation]int{}, children: map[string][]int{}}
	for i := range h.Operations {
		op := &h.Operations[i]
		switch op.Kind {
		case Create:
			layer := op.Layers[0]
			s.byName[op.Tree] = len(s.trees)
			s.of[layer] = append(s.of[layer], len(s.trees))
			if op.Parent != "" {
				s.children[op.Parent] = append(s.children[op.Parent], len(s.trees))
			}
			s.trees = append(s.trees, tree{op.Tree, layer, op})
		case Delete:
			s.owners[op] = len(s.owners) + 1
		case Recover:
			if op.Result.Outcome == Done && op.Result.Yes && s.alone(op) {
				s.cleanings = append(s.cleanings, op)
			}
		}
	}
	s.assignLanes()
	return s
}

// layers returns every layer that an operation names.
func (s *subject) layers() []string {
	var all []string
	for i := range s.h.Operations {
		op := &s.h.Operations[i]
		all = append(all, op.Layers...)
		all = append(all, op.Result.Layers...)
		if op.Parent != "" {
			all = append(all, op.Parent)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// assignLanes gives every client a row of the picture: that of a client before
// it that is done, if there is one.
func (s *subject) assignLanes() {
	s.lanes = map[Client]int{}
	last := map[Client]int64{}
	for i := range s.h.Operations {
		op := &s.h.Operations[i]
		last[op.Client] = max(last[op.Client], op.Call, s.h.until(op))
	}
	var free []int64 // when the lane is free again
	for i := range s.h.Operations {
		op := &s.h.Operations[i]
		if _, known := s.lanes[op.Client]; known {
			continue
		}
		lane := slices.IndexFunc(free, func(end int64) bool { return end < op.Call })
		if lane < 0 {
			lane, free = len(free), append(free, 0)
		}
		s.lanes[op.Client], free[lane] = lane, last[op.Client]
	}
}

// porcupineModel is the model of every partition.
func (s *subject) porcupineModel() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init: func() []any { return []any{newWorld(len(s.trees))} },
		Step: func(state, input, _ any) []any {
			w, m := state.(world), input.(*move)
			var next []any
			if to, ok := m.apply(w); ok {
				next = append(next, to)
			}
			if m.may {
				next = append(next, w)
			}
			return next
		},
		Hash: func(state any) uint64 {
			h := uint64(14695981039346656037) // FNV-1a
			for _, c := range []byte(state.(world)) {
				h = (h ^ uint64(c)) * 1099511628211
			}
			return h
		},
		DescribeOperation: func(input, _ any) string { return input.(*move).text },
		DescribeState:     func(state any) string { return state.(world).text(s) },
	}
	return m.ToModel()
}

// unfinished reports whether an operation on the layer that began before the look
// ended may have left something: a tree that is staged, or one on its way.
func (s *subject) unfinished(w world, layer string, look *Operation) bool {
	return slices.ContainsFunc(s.of[layer], func(i int) bool {
		state := w.at(i).state
		return state == model.ItemStaged || state == model.ItemAbsent && s.trees[i].create.Call < look.Return
	})
}

// mayBeBusy reports whether an unfinished operation can have had the id of the
// addition, if no layer has it. Operations on the layer count, and those on its
// descendants: the record of a parent stays as long as theirs. An operation that
// could not remove what it was to is finished by somebody, nobody knows when, unless
// a recovery leaves nothing while nobody else is at work. One whose process was
// killed keeps nothing busy by itself: its claims are gone, and an addition that
// wants the id moves aside what it left. But somebody else may be finishing it, such
// as a process that opens the store, and has the claim.
func (s *subject) mayBeBusy(op *Operation) bool {
	family := []string{op.Layers[0]}
	for i := 0; i < len(family); i++ {
		for _, child := range s.children[family[i]] {
			if layer := s.trees[child].layer; !slices.Contains(family, layer) {
				family = append(family, layer)
			}
		}
	}
	var clean int64 // all that had ended before this is finished
	for _, recovery := range s.cleanings {
		if recovery.Return < op.Call {
			clean = max(clean, recovery.Call)
		}
	}
	made := false
	unfinished := false
	for i := range s.h.Operations {
		other := &s.h.Operations[i]
		if other == op || other.Call > op.Return || other.Kind != Create && other.Kind != Delete {
			continue
		}
		made = made || other.Kind == Create && other.Layers[0] == op.Layers[0]
		left := other.Result.Outcome == Indefinite || other.Result.Outcome == Leftover || other.Return == 0 && !s.alone(op)
		if (left || s.h.until(other) > op.Call) && s.h.until(other) > clean && intersect(other.Layers, family) {
			unfinished = true
		}
	}
	return made && unfinished
}

func intersect(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

// chain returns the names of the layer's tree and of those of its parents, the
// layer's first; none if it is not there.
func (s *subject) chain(w world, layer string) (names []string) {
	for layer != "" && len(names) <= len(s.trees) {
		tree := w.live(s, layer)
		if tree < 0 {
			return nil
		}
		names = append(names, s.trees[tree].name)
		layer = s.trees[tree].create.Parent
	}
	if s.h.Layout == "vfs" && len(names) > 1 {
		slices.Sort(names[1:]) // all of them are in one directory
	}
	return names
}

// alone reports whether nobody but the operation's client can have had anything
// locked while it ran: all others had ended, and no other process was alive.
func (s *subject) alone(op *Operation) bool {
	for i := range s.h.Operations {
		other := &s.h.Operations[i]
		switch {
		case other == op:
		case other.Call < op.Return && s.h.until(other) > op.Call:
			return false
		case other.Call > op.Return && other.Client.Process != op.Client.Process:
			return false // it may have been opening the store, which recovers as well
		}
	}
	return !slices.ContainsFunc(s.h.Kills, func(k Kill) bool { return k.Process != op.Client.Process && k.Ticket > op.Call })
}
