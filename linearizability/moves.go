package linearizability

import (
	"slices"

	"github.com/anishathalye/porcupine"

	"github.com/afterlock/afterlock/model"
)

// A projection is the history of some layers.
type projection struct {
	*subject
	layers []string
	disk   bool // with what is on disk: looks, removals, recoveries
	out    []porcupine.Operation
}

// project returns the moves of the layers, see the package comment.
func (s *subject) project(layers []string, disk bool) []porcupine.Operation {
	p := &projection{subject: s, layers: layers, disk: disk}
	for i := range s.h.Operations {
		op := &s.h.Operations[i]
		if s.omitted[op] {
			continue
		}
		if op.Result.Outcome == Failed || op.Result.Outcome == Exhausted {
			continue // a definite failure has no effect, and what it built is left for recovery, perhaps
		}
		switch op.Kind {
		case Create:
			p.create(op)
		case Delete:
			p.delete(op)
		case List:
			p.list(op)
		case Exists, Read:
			p.read(op)
		case Mount, Unmount:
			p.mount(op)
		case Look:
			p.look(op)
		case Recover:
			p.recover(op)
		}
	}
	return p.out
}

// has reports whether the parent, if it is one, is in the projection.
func (p *projection) has(parent string) bool {
	return parent == "" || slices.Contains(p.layers, parent)
}

func (p *projection) add(op *Operation, until int64, m *move) {
	m.op = op
	p.out = append(p.out, porcupine.Operation{ClientId: p.lanes[op.Client], Input: m, Call: op.Call, Return: until})
}

// effect adds the effect of the operation, if it has one, or may have.
func (p *projection) effect(op *Operation, m *move) bool {
	if !op.changes() {
		return false
	}
	m.may = p.relaxed[op] || p.open[op] || op.Result.Outcome == Pending || op.Result.Outcome == Indefinite
	p.add(op, p.h.until(op), m)
	return true
}

// observe adds a move that changes nothing.
func (p *projection) observe(op *Operation, text string, holds func(w world) bool) {
	p.add(op, p.h.until(op), &move{text: text, apply: func(w world) (world, bool) { return w, holds(w) }})
}

// words are the operation and what it answered, for the picture.
func words(op *Operation) string {
	switch {
	case op.Result.Outcome == Pending:
		return op.invocation() + " → cut off"
	case op.Note != "":
		return op.invocation() + " → " + op.response() + " (" + op.Note + ")"
	}
	return op.invocation() + " → " + op.response()
}

func (p *projection) create(op *Operation) {
	layer := op.Layers[0]
	if !slices.Contains(p.layers, layer) {
		return
	}
	tree := p.byName[op.Tree]
	commit := &move{text: words(op), apply: func(w world) (world, bool) { return w.commit(p.subject, tree, p.layers) }}
	if p.effect(op, commit) {
		return
	}
	switch op.Result.Outcome {
	case AlreadyExists:
		p.observe(op, words(op), func(w world) bool { return w.live(p.subject, layer) >= 0 })
	case NoParent:
		if slices.Contains(p.layers, op.Parent) {
			p.observe(op, words(op), func(w world) bool { return w.live(p.subject, op.Parent) < 0 })
		}
	case Busy:
		may := p.mayBeBusy(op)
		p.observe(op, words(op), func(w world) bool { return may && w.live(p.subject, layer) < 0 })
	}
	p.removal(op, func(w world) (world, bool) { return w.reap(tree) })
}

func (p *projection) delete(op *Operation) {
	layers := slices.DeleteFunc(slices.Clone(op.Layers), func(l string) bool { return !slices.Contains(p.layers, l) })
	slices.Sort(layers)
	if layers = slices.Compact(layers); len(layers) == 0 {
		return
	}
	owner := p.owners[op]
	stage := &move{text: words(op), apply: func(w world) (world, bool) { return w.stage(p.subject, layers, owner) }}
	switch changes := p.effect(op, stage); {
	case changes && op.Result.Outcome == Done && !p.relaxed[op] && !p.open[op]:
		p.removal(op, func(w world) (world, bool) { return w.removed(owner, len(layers)) })
	case !changes:
		layer := op.Result.Layers[0]
		if !slices.Contains(layers, layer) {
			return
		}
		p.observe(op, words(op), func(w world) bool {
			live := w.live(p.subject, layer)
			switch op.Result.Outcome {
			case Unknown:
				return live < 0
			case Mounted:
				return live >= 0 && w.at(live).number > 0
			}
			// HasChildren: one that is not deleted with it. Where children are in
			// another projection, one that may be there.
			return live >= 0 && slices.ContainsFunc(p.children[layer], func(i int) bool {
				child := &p.trees[i]
				if !slices.Contains(p.layers, child.layer) {
					return child.create.Call < op.Return
				}
				return w.at(i).state == model.ItemLive && !slices.Contains(layers, child.layer)
			})
		})
	}
}

// removal adds that the data of the operation is gone when it responds.
func (p *projection) removal(op *Operation, apply func(world) (world, bool)) {
	if p.disk {
		p.add(op, op.Return, &move{text: "data gone: " + op.invocation(), apply: apply})
	}
}

// list: no layer twice, and parents before their children.
func (p *projection) list(op *Operation) {
	if op.Result.Outcome != Done {
		return
	}
	at := map[string]int{}
	for i, layer := range op.Result.Layers {
		at[layer] = i + 1
	}
	p.observe(op, words(op), func(w world) bool {
		for _, layer := range p.layers {
			live := w.live(p.subject, layer)
			if (live >= 0) != (at[layer] > 0) {
				return false
			}
			if live >= 0 && at[p.trees[live].create.Parent] > at[layer] {
				return false
			}
		}
		return len(at) == len(op.Result.Layers)
	})
}

// read adds exists as well.
func (p *projection) read(op *Operation) {
	if op.Result.Outcome == Pending || !slices.Contains(p.layers, op.Layers[0]) {
		return
	}
	p.observe(op, words(op), func(w world) bool {
		live := w.live(p.subject, op.Layers[0])
		switch {
		case op.Result.Outcome == Torn: // a layer is whole, or nobody can read it
			return false
		case op.Result.Outcome == Unknown:
			return live < 0
		case op.Kind == Exists:
			return op.Result.Yes == (live >= 0)
		case live >= 0 && !p.has(p.trees[live].create.Parent):
			return p.trees[live].name == op.Result.Trees[0] // and the parents are in another projection
		}
		return slices.Equal(p.chain(w, op.Layers[0]), op.Result.Trees)
	})
}

func (p *projection) mount(op *Operation) {
	layer := op.Layers[0]
	if !slices.Contains(p.layers, layer) {
		return
	}
	more := 1
	if op.Kind == Unmount {
		more = -1
	}
	count := &move{text: words(op), apply: func(w world) (world, bool) { return w.mount(p.subject, layer, more) }}
	if p.effect(op, count) {
		return
	}
	switch op.Result.Outcome {
	case Unknown:
		p.observe(op, words(op), func(w world) bool { return w.live(p.subject, layer) < 0 })
	case Unmounted:
		p.observe(op, words(op), func(w world) bool {
			live := w.live(p.subject, layer)
			return live >= 0 && w.at(live).number == 0
		})
	}
}
