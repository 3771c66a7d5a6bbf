package linearizability

import (
	"maps"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"
)

// A reduction looks for the core of an illegal partition: a few operations that are
// illegal by themselves, and from which none can be left out.
//
// Operations must not be left out at will: without the creation of a layer every
// read of it is illegal, and says nothing about the store. Three rules keep the
// core honest:
//
//   - What only observes can be left out: that takes a constraint away. What has an
//     effect can be left out if the rest is illegal with the effect and without it.
//     So the core is illegal because the history is.
//   - The culprit stays: the operation whose response ends the shortest prefix that
//     is illegal. Without it, what stays is legal: layers are made before they are
//     deleted.
//   - Who made the trees that operations of the core saw stays as well.
//
// What is known of an operation by its place in the whole history, such as whether
// anybody else was at work, stays known.
type reduction struct {
	*subject
	part     part
	model    porcupine.Model
	deadline time.Time
	culprit  *Operation
}

// reduceTime bounds a reduction; what is found by then is the core.
const reduceTime = 20 * time.Second

// core returns the operations of the core in the order of invocations, and their
// moves, or nothing if even the whole history was not refuted in time.
func (s *subject) core(part part, timeout time.Duration) ([]*Operation, []porcupine.Operation) {
	r := &reduction{subject: s, part: part, model: s.porcupineModel(), deadline: time.Now().Add(min(timeout, reduceTime))}
	s.omitted, s.relaxed, s.open = map[*Operation]bool{}, map[*Operation]bool{}, map[*Operation]bool{}
	defer func() { s.omitted, s.relaxed, s.open = nil, nil, nil }()
	if !r.shortestPrefix() {
		return nil, nil
	}
	for r.leaveOut(r.observers(), r.omit) || r.leaveOut(r.effects(), r.relax) {
	}
	maps.Copy(s.omitted, s.relaxed)
	moves := s.project(part.layers, part.disk)
	var core []*Operation
	for i := range s.h.Operations {
		op := &s.h.Operations[i]
		if !s.omitted[op] && slices.ContainsFunc(moves, func(m porcupine.Operation) bool { return m.Input.(*move).op == op }) {
			core = append(core, op)
		}
	}
	return core, moves
}

// check judges what is not omitted; what is relaxed or open may have no effect.
func (r *reduction) check() porcupine.CheckResult {
	left := time.Until(r.deadline)
	if left <= 0 {
		return porcupine.Unknown
	}
	return porcupine.CheckOperationsTimeout(r.model, r.project(r.part.layers, r.part.disk), left)
}

// shortestPrefix finds the culprit, and leaves out what comes after its response:
// operations, and the responses of those that were pending.
func (r *reduction) shortestPrefix() bool {
	var ends []*Operation
	for i := range r.h.Operations {
		if op := &r.h.Operations[i]; op.Return > 0 {
			ends = append(ends, op)
		}
	}
	slices.SortFunc(ends, func(a, b *Operation) int { return int(a.Return - b.Return) })
	cut := func(end int64) porcupine.CheckResult {
		clear(r.omitted)
		clear(r.open)
		for i := range r.h.Operations {
			op := &r.h.Operations[i]
			switch open := op.Return > end || op.Return == 0; {
			case op.Call > end || open && !op.changes():
				r.omitted[op] = true
			case open:
				r.open[op] = true
			}
		}
		return r.check()
	}
	n, _ := slices.BinarySearchFunc(ends, true, func(op *Operation, _ bool) int {
		if cut(op.Return) == porcupine.Illegal {
			return 1
		}
		return -1
	})
	if n == len(ends) || cut(ends[n].Return) != porcupine.Illegal {
		return false
	}
	r.culprit = ends[n]
	return true
}

// changes reports whether the operation has, or may have, an effect on layers.
func (op *Operation) changes() bool {
	switch op.Result.Outcome {
	case Done, Pending, Indefinite, Leftover:
		return op.Kind == Create || op.Kind == Delete || op.Kind == Mount || op.Kind == Unmount
	}
	return false
}

// observers and effects are what can still be left out.
func (r *reduction) observers() []*Operation { return r.candidates(false) }
func (r *reduction) effects() []*Operation   { return r.candidates(true) }

func (r *reduction) candidates(changes bool) (found []*Operation) {
	for i := range r.h.Operations {
		op := &r.h.Operations[i]
		if !r.omitted[op] && !r.relaxed[op] && op != r.culprit && op.changes() == changes {
			found = append(found, op)
		}
	}
	return found
}

// leaveOut leaves out as many of the operations as it can, large parts first, and
// reports whether it could leave out any.
func (r *reduction) leaveOut(from []*Operation, without func([]*Operation) bool) (some bool) {
	for size := len(from); size > 0; size /= 2 {
		for at := 0; at < len(from); {
			chunk := from[at:min(at+size, len(from))]
			if without(chunk) {
				some = true
				from = slices.Delete(slices.Clone(from), at, at+len(chunk))
			} else {
				at += size
			}
		}
	}
	return some
}

// omit leaves operations out that only observe.
func (r *reduction) omit(operations []*Operation) bool {
	for _, op := range operations {
		r.omitted[op] = true
	}
	if r.check() == porcupine.Illegal {
		return true
	}
	for _, op := range operations {
		delete(r.omitted, op)
	}
	return false
}

// relax leaves operations out that have an effect.
func (r *reduction) relax(operations []*Operation) bool {
	for _, op := range operations {
		r.relaxed[op] = true
	}
	if r.treesAreMade() && r.check() == porcupine.Illegal && r.legalWithoutCulprit() {
		return true
	}
	for _, op := range operations {
		delete(r.relaxed, op)
	}
	return false
}

// treesAreMade reports whether the trees that were seen have their creations.
func (r *reduction) treesAreMade() bool {
	for i := range r.h.Operations {
		op := &r.h.Operations[i]
		if r.omitted[op] || r.relaxed[op] {
			continue
		}
		for _, name := range op.Result.Trees {
			if tree, known := r.byName[name]; known && r.relaxed[r.trees[tree].create] {
				return false
			}
		}
	}
	return true
}

// legalWithoutCulprit judges the core as it would be now, without the culprit.
func (r *reduction) legalWithoutCulprit() bool {
	before := r.omitted
	r.omitted = map[*Operation]bool{r.culprit: true}
	maps.Copy(r.omitted, before)
	maps.Copy(r.omitted, r.relaxed)
	legal := r.check() == porcupine.Ok
	r.omitted = before
	return legal
}
