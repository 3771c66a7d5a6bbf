package linearizability

import (
	"slices"
	"strings"

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
		if op.Result.Outcome == Failed && op.Kind != Create {
			continue // a definite failure has no effect
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
		case Look:
			p.look(op)
		case Recover:
			p.recover(op)
		}
	}
	return p.out
}

func (p *projection) add(op *Operation, until int64, m *move) {
	p.out = append(p.out, porcupine.Operation{ClientId: p.lanes[op.Client], Input: m, Call: op.Call, Return: until})
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
	commit := &move{text: words(op), apply: func(w world) (world, bool) { return w.commit(p.subject, tree) }}
	switch op.Result.Outcome {
	case Done:
		p.add(op, op.Return, commit)
		return
	case Pending, Indefinite:
		commit.may = true
		p.add(op, p.h.until(op), commit)
		return
	case AlreadyExists:
		p.observe(op, words(op), func(w world) bool { return w.live(p.subject, layer) >= 0 })
	case Busy:
		p.observe(op, words(op), func(w world) bool { return p.unfinished(w, layer, op.Call) })
	default:
		return // and what it built is left for recovery, perhaps
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
	switch op.Result.Outcome {
	case Done:
		p.add(op, op.Return, stage)
		p.removal(op, func(w world) (world, bool) { return w.removed(owner, len(layers)) })
	case Leftover:
		p.add(op, op.Return, stage)
	case Pending, Indefinite:
		stage.may = true
		p.add(op, p.h.until(op), stage)
	case Unknown:
		if missing := op.Result.Layers[0]; slices.Contains(layers, missing) {
			p.observe(op, words(op), func(w world) bool { return w.live(p.subject, missing) < 0 })
		}
	}
}

// removal adds that the data of the operation is gone when it responds.
func (p *projection) removal(op *Operation, apply func(world) (world, bool)) {
	if p.disk {
		p.add(op, op.Return, &move{text: "data gone: " + op.invocation(), apply: apply})
	}
}

func (p *projection) list(op *Operation) {
	if op.Result.Outcome != Done {
		return
	}
	p.observe(op, words(op), func(w world) bool {
		for _, layer := range p.layers {
			if slices.Contains(op.Result.Layers, layer) != (w.live(p.subject, layer) >= 0) {
				return false
			}
		}
		return true
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
		}
		return live >= 0 && p.trees[live].name == op.Result.Trees[0]
	})
}

// look adds few moves, although one look sees one thing after the other: a move
// for each tree would let Porcupine try their orders, and take hours.
//
// That a tree is gone stays so. So what was seen was not gone when the look began,
// all of it. What was not seen was gone when the look ended, if it had been made
// before the look began; only if it was being made, it has a moment of its own, at
// which it was absent or gone. What was made later says nothing: it was absent when
// the look began.
func (p *projection) look(op *Operation) {
	layer := op.Layers[0]
	if !p.disk || op.Result.Outcome != Done || !slices.Contains(p.layers, layer) {
		return
	}
	var seen, missing []int
	for _, i := range p.of[layer] {
		create := p.trees[i].create
		switch {
		case slices.Contains(op.Result.Trees, p.trees[i].name):
			if create == nil || create.Call > op.Return {
				p.observe(op, words(op)+": "+p.trees[i].name+" before anybody made it", func(world) bool { return false })
			}
			seen = append(seen, i)
		case create == nil || create.Call > op.Call:
		case p.h.until(create) < op.Call:
			missing = append(missing, i)
		default:
			p.missing(op, "not on disk: "+p.trees[i].name, i)
		}
	}
	if len(seen) > 0 {
		p.observe(op, "on disk: "+strings.Join(op.Result.Trees, " "), func(w world) bool {
			return !slices.ContainsFunc(seen, func(i int) bool { return w.at(i).state == model.ItemGone })
		})
	}
	if len(missing) > 0 {
		p.missing(op, choose(len(seen) > 0, "nothing else on disk of ", "nothing on disk of ")+layer, missing...)
	}
	switch {
	case p.h.Layout != "overlay":
	case op.Result.Yes:
		p.observe(op, "on disk: a link to "+layer, func(w world) bool {
			return w.live(p.subject, layer) >= 0 || p.unfinished(w, layer, op.Return)
		})
	default:
		p.observe(op, "on disk: no link to "+layer, func(w world) bool { return w.live(p.subject, layer) < 0 })
	}
}

// missing adds that the trees were not on disk at one moment.
func (p *projection) missing(op *Operation, text string, trees ...int) {
	p.add(op, op.Return, &move{text: text, apply: func(w world) (world, bool) {
		for _, i := range trees {
			switch w.at(i).state {
			case model.ItemLive:
				return w, false
			case model.ItemStaged: // somebody has removed it
				w, _ = w.do(model.ItemReap, i)
			}
		}
		return w, true
	}})
}

// recover adds that nothing is left of operations that had ended before.
func (p *projection) recover(op *Operation) {
	if !p.disk || op.Result.Outcome != Done || !op.Result.Yes {
		return
	}
	ended := map[int]bool{} // by owner
	var additions []int
	for i := range p.h.Operations {
		other := &p.h.Operations[i]
		switch {
		case other.Result.Outcome == Indefinite || p.h.until(other) >= op.Call:
		case other.Kind == Delete:
			ended[p.owners[other]] = true
		case other.Kind == Create && other.Result.Outcome != Done && slices.Contains(p.layers, other.Layers[0]):
			additions = append(additions, p.byName[other.Tree])
		}
	}
	p.add(op, op.Return, &move{text: "recover: nothing left of " + strings.Join(p.layers, ", "), apply: func(w world) (world, bool) {
		for _, tree := range additions {
			if w.at(tree).state == model.ItemAbsent {
				w, _ = w.reap(tree)
			}
		}
		for tree := range p.trees {
			if at := w.at(tree); at.state == model.ItemStaged && ended[at.owner] {
				w, _ = w.do(model.ItemReap, tree)
			}
		}
		return w, true
	}})
}
