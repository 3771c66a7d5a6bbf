package linearizability

import (
	"slices"
	"strings"

	"github.com/afterlock/afterlock/model"
)

// This file is moves.go for what is on disk.

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
	never := func(what string) { p.observe(op, words(op)+": "+what, func(world) bool { return false }) }
	for _, name := range op.Result.Trees {
		if i, known := p.byName[name]; !known || p.trees[i].layer != layer || p.trees[i].create.Call > op.Return {
			never(name + " before anybody made it")
		}
	}
	var seen, missing []int
	for _, i := range p.of[layer] {
		create := p.trees[i].create
		switch {
		case slices.Contains(op.Result.Trees, p.trees[i].name):
			if !p.copied(layer, op) {
				seen = append(seen, i)
			}
		case create.Call > op.Call:
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
	case op.Result.Links:
		never("more than one link")
	case op.Result.Yes:
		p.observe(op, "on disk: a link to "+layer, func(w world) bool {
			return w.live(p.subject, layer) >= 0 || p.unfinished(w, layer, op)
		})
	default:
		p.observe(op, "on disk: no link to "+layer, func(w world) bool { return w.live(p.subject, layer) < 0 })
	}
}

// copied reports whether what a look saw of the layer may be a copy: in the layout
// vfs a layer has the files of its parents, from the first step of its making to the
// last one of its removal.
func (p *projection) copied(layer string, look *Operation) bool {
	return p.h.Layout == "vfs" && slices.ContainsFunc(p.children[layer], func(child int) bool {
		return p.trees[child].create.Call < look.Return
	})
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

// recover adds that nothing is left of operations that had ended before. If it
// says that it had to leave something, somebody else was at work.
func (p *projection) recover(op *Operation) {
	if !p.disk || op.Result.Outcome != Done {
		return
	}
	if !op.Result.Yes {
		if p.alone(op) {
			p.observe(op, words(op)+", and nobody else was at work", func(world) bool { return false })
		}
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
			if at := w.at(tree); at.state == model.ItemStaged && ended[at.number] {
				w, _ = w.do(model.ItemReap, tree)
			}
		}
		return w, true
	}})
}
