package linearizability

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/model"
)

// A world is one state that the store can be in: for every tree of the history,
// in the order in which they were made, its state in spec/TempDir.tla, and a
// number. Two bytes a tree. Worlds are compared.
type world string

// A placed is one tree in a world.
type placed struct {
	state model.ItemState
	// number is, of a live tree, how often it is mounted; of one that was deleted,
	// the index of the deletion, from 1, which stays when the tree is gone.
	number int
}

func newWorld(trees int) world { return world(make([]byte, 2*trees)) }

func (w world) at(tree int) placed {
	bits := binary.LittleEndian.Uint16([]byte(w[2*tree : 2*tree+2]))
	return placed{model.ItemState(bits & 3), int(bits >> 2)}
}

// maxNumber is how many deletions, or mounts, fit beside a state.
const maxNumber = 1<<14 - 1

func (w world) with(tree int, p placed) world {
	b := []byte(w)
	binary.LittleEndian.PutUint16(b[2*tree:], uint16(p.state)|uint16(p.number)<<2)
	return world(b)
}

// do returns the world after an action of spec/TempDir.tla on the tree; ok is
// false if it is not enabled.
func (w world) do(a model.ItemAction, tree int) (_ world, ok bool) {
	p := w.at(tree)
	p.state, ok = model.ItemStep(a, p.state)
	if !ok {
		return w, false
	}
	return w.with(tree, p), true
}

// live returns the live tree of the layer, or -1.
func (w world) live(s *subject, layer string) int {
	for _, tree := range s.of[layer] {
		if w.at(tree).state == model.ItemLive {
			return tree
		}
	}
	return -1
}

// commit makes the tree the layer, if there is none: nothing is committed over
// an existing name. The parent is there, if it is one of the layers.
func (w world) commit(s *subject, tree int, layers []string) (world, bool) {
	t := &s.trees[tree]
	if w.live(s, t.layer) >= 0 || slices.Contains(layers, t.create.Parent) && w.live(s, t.create.Parent) < 0 {
		return w, false
	}
	w, filled := w.do(model.ItemFill, tree)
	w, committed := w.do(model.ItemCommit, tree)
	return w, filled && committed
}

// stage makes the deletion take effect: all its layers or none, none of them
// mounted, and no child of theirs stays.
func (w world) stage(s *subject, layers []string, owner int) (world, bool) {
	for _, layer := range layers {
		tree := w.live(s, layer)
		if tree < 0 || w.at(tree).number > 0 {
			return w, false
		}
		w, _ = w.do(model.ItemDelete, tree)
		w = w.with(tree, placed{w.at(tree).state, owner})
	}
	return w, !slices.ContainsFunc(layers, func(layer string) bool { return w.hasChildren(s, layer) })
}

// hasChildren reports whether a live layer has this one as its parent.
func (w world) hasChildren(s *subject, layer string) bool {
	return slices.ContainsFunc(s.children[layer], func(tree int) bool { return w.at(tree).state == model.ItemLive })
}

// mount counts mounts of the layer.
func (w world) mount(s *subject, layer string, more int) (world, bool) {
	tree := w.live(s, layer)
	if tree < 0 {
		return w, false
	}
	p := w.at(tree)
	if p.number += more; p.number < 0 || p.number > maxNumber {
		return w, false
	}
	return w.with(tree, p), true
}

// removed says that everything that the deletion staged is gone. It cannot come
// before the deletion's effect.
func (w world) removed(owner, layers int) (world, bool) {
	staged := 0
	for tree := range len(w) / 2 {
		if p := w.at(tree); p.number == owner && p.state != model.ItemLive {
			staged++
			if p.state != model.ItemGone {
				w, _ = w.do(model.ItemReap, tree)
			}
		}
	}
	return w, staged == layers
}

// reap removes a tree that nobody committed, or that is staged.
func (w world) reap(tree int) (world, bool) {
	if w.at(tree).state == model.ItemAbsent {
		w, _ = w.do(model.ItemFill, tree)
	}
	return w.do(model.ItemReap, tree)
}

// text is the world in words: the trees that are not absent and not gone.
func (w world) text(s *subject) string {
	var words []string
	for tree := range len(w) / 2 {
		if p := w.at(tree); p.state == model.ItemLive || p.state == model.ItemStaged {
			words = append(words, s.trees[tree].name+" "+p.state.String())
		}
	}
	if len(words) == 0 {
		return "no layer"
	}
	return strings.Join(words, ", ")
}
