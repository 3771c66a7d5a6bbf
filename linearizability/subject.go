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
}

type tree struct {
	name, layer string
	create      *Operation // nil: nobody made it
}

// A move is one step of the model: an operation, or a part of one, in one
// partition.
type move struct {
	text  string
	apply func(world) (world, bool)
	may   bool // or nothing happens: the operation was cut off
}

func newSubject(h *History) *subject {
	s := &subject{h: h, byName: map[string]int{}, of: map[string][]int{}, owners: map[*Operation]int{}}
	for i := range h.Operations {
		op := &h.Operations[i]
		switch op.Kind {
		case Create:
			s.addTree(op.Tree, op.Layers[0], op)
		case Delete:
			s.owners[op] = len(s.owners) + 1
		}
	}
	// What was seen and nobody made: no world has it.
	for i := range h.Operations {
		op := &h.Operations[i]
		for _, name := range op.Result.Trees {
			if tree, known := s.byName[name]; !known || s.trees[tree].layer != op.Layers[0] {
				s.addTree(name, op.Layers[0], nil)
			}
		}
	}
	s.assignLanes()
	return s
}

func (s *subject) addTree(name, layer string, create *Operation) {
	s.byName[name] = len(s.trees)
	s.of[layer] = append(s.of[layer], len(s.trees))
	s.trees = append(s.trees, tree{name, layer, create})
}

// layers returns every layer that an operation names.
func (s *subject) layers() []string {
	var all []string
	for i := range s.h.Operations {
		all = append(all, s.h.Operations[i].Layers...)
		all = append(all, s.h.Operations[i].Result.Layers...)
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

// unfinished reports whether an operation on the layer that began before the
// ticket may have left something: a tree that is staged, or one on its way.
func (s *subject) unfinished(w world, layer string, before int64) bool {
	return slices.ContainsFunc(s.of[layer], func(i int) bool {
		state, create := w.at(i).state, s.trees[i].create
		return state == model.ItemStaged || state == model.ItemAbsent && create != nil && create.Call < before
	})
}
