//go:build linux

package main

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/afterlock/afterlock/crashsim/disk"
)

// A world is the names and files of a case, in memory.
type world struct {
	entries map[disk.Name]int32
	nodes   []node // the first is the directory of the case
}

type node struct {
	directory, link bool
	labels          []string // what the file may say after power loss; the last one is what it says
}

// An effect is what a step does: it changes names, or a file's content, or makes
// something durable.
type effect struct {
	change *disk.Change
	swaps  int32   // exchange: the node at change.To
	syncs  []int32 // directories whose changes are durable after the step
	file   int32   // write, fsync: the file, or -1
	labels []string
}

// A trace is a program with what each of its steps does.
type trace struct {
	start   world
	steps   [][]effect
	moments []string // the trees that it goes through
}

// follow runs the program of the case in memory.
func follow(c *litmus) *trace {
	w := world{entries: make(map[disk.Name]int32), nodes: []node{{directory: true}}}
	for _, s := range parse(c.given) {
		w.do(s)
	}
	for i := range w.nodes {
		w.nodes[i].settle()
	}
	t := &trace{start: w.clone()}
	t.moments = append(t.moments, w.text())
	for _, s := range parse(c.do) {
		effects, moments := w.do(s)
		t.steps = append(t.steps, effects)
		t.moments = append(t.moments, moments...)
	}
	t.start.nodes = append(t.start.nodes, w.nodes[len(t.start.nodes):]...) // what comes later has no name yet
	return t
}

// do does what a step does: two things if a write makes its file. moments are the trees
// after each.
func (w *world) do(s step) (effects []effect, moments []string) {
	for more := true; more; {
		e := w.effect(s)
		more = s.verb == "write" && e.change != nil
		w.apply(&e)
		moments = append(moments, w.text())
		effects = append(effects, e)
	}
	return effects, moments
}

var noName = disk.Name{Dir: -1}

func (n *node) settle() {
	if len(n.labels) > 0 {
		n.labels = n.labels[len(n.labels)-1:]
	}
}

func (w *world) clone() world {
	c := world{entries: make(map[disk.Name]int32), nodes: slices.Clone(w.nodes)}
	for name, n := range w.entries {
		c.entries[name] = n
	}
	return c
}

// name resolves a path, but for its last element.
func (w *world) name(path string) disk.Name {
	elements := strings.Split(path, "/")
	at := disk.Name{Name: elements[0]}
	for _, e := range elements[1:] {
		at = disk.Name{Dir: w.entries[at], Name: e}
	}
	return at
}

// effect is what the step does now.
func (w *world) effect(s step) effect {
	e := effect{file: -1, swaps: -1}
	at := w.name(s.path)
	there, exists := w.entries[at]
	change := func(kind disk.Kind, n int32, from, to disk.Name) {
		e.change = &disk.Change{Kind: kind, Directory: w.nodes[n].directory, Node: n, From: from, To: to, Over: -1}
	}
	fresh := func(n node) int32 { w.nodes = append(w.nodes, n); return int32(len(w.nodes) - 1) }
	switch {
	case s.verb == "create", s.verb == "write" && !exists:
		change(disk.Link, fresh(node{labels: []string{"empty"}}), noName, at)
	case s.verb == "mkdir":
		change(disk.Link, fresh(node{directory: true}), noName, at)
	case s.verb == "symlink":
		change(disk.Link, fresh(node{link: true}), noName, at)
	case s.verb == "link":
		change(disk.Link, there, noName, w.name(s.other))
	case s.verb == "unlink", s.verb == "rmdir":
		change(disk.Unlink, there, at, noName)
	case s.verb == "rename", s.verb == "exchange":
		to := w.name(s.other)
		over, covered := w.entries[to]
		change(disk.Rename, there, at, to)
		if s.verb == "exchange" {
			e.swaps = over
		} else if covered {
			e.change.Over = over
		}
	case s.verb == "write":
		e.file, e.labels = there, append(slices.Clone(w.nodes[there].labels), "zeroes", "torn", s.other)
	case s.verb == "fsync" && w.nodes[there].directory:
		e.syncs = []int32{there}
	case s.verb == "fsync":
		e.file = there
	case s.verb == "syncfs":
		for i, n := range w.nodes {
			if n.directory {
				e.syncs = append(e.syncs, int32(i))
			}
		}
	default:
		panic(fmt.Sprintf("no step %q", s))
	}
	return e
}

// apply does what a step does.
func (w *world) apply(e *effect) {
	if e.file >= 0 {
		if e.labels != nil {
			w.nodes[e.file].labels = e.labels
		} else {
			w.nodes[e.file].settle()
		}
	}
	if len(e.syncs) > 1 {
		for i := range w.nodes {
			w.nodes[i].settle()
		}
	}
	if c := e.change; c != nil {
		if c.From.Dir >= 0 {
			delete(w.entries, c.From)
		}
		if c.To.Dir >= 0 {
			w.entries[c.To] = c.Node
		}
		if e.swaps >= 0 {
			w.entries[c.From] = e.swaps
		}
	}
}

// paths are all names from the directory of the case.
func (w *world) paths() map[string]int32 {
	found := make(map[string]int32)
	var walk func(dir int32, above string)
	walk = func(dir int32, above string) {
		for name, n := range w.entries {
			if name.Dir == dir {
				found[above+name.Name] = n
				walk(n, above+name.Name+"/")
			}
		}
	}
	walk(0, "")
	return found
}

// text is the tree as look describes it.
func (w *world) text() string {
	var names []string
	for path, n := range w.paths() {
		switch of := w.nodes[n]; {
		case of.directory:
			names = append(names, path+"/")
		case of.link:
			names = append(names, path+"@")
		default:
			names = append(names, path+"="+of.labels[len(of.labels)-1])
		}
	}
	sort.Strings(names)
	return strings.Join(names, " ")
}

// may reports whether the world may be described so: a file says one of its labels.
func (w *world) may(tree string) bool {
	paths := w.paths()
	words := strings.Fields(tree)
	for _, word := range words {
		path, says, file := strings.Cut(strings.TrimRight(word, "/@"), "=")
		n, there := paths[path]
		if !there || file != (w.nodes[n].labels != nil) || file && !slices.Contains(w.nodes[n].labels, says) {
			return false
		}
	}
	return len(words) == len(paths)
}

// worlds are those that the model allows when so many steps have returned: each set of
// changes that may survive, the next step's among them, which may have been made.
func (t *trace) worlds(m disk.Durability, returned int) (worlds []world) {
	var log disk.Log
	log.Reset(m)
	w := t.start.clone()
	var journal []*effect
	note := func(e *effect, c *disk.Change) {
		log.Append(c)
		journal = append(journal, e)
	}
	for i, step := range t.steps[:min(returned+1, len(t.steps))] {
		for k := range step {
			e := &step[k]
			switch {
			case e.change != nil:
				note(e, e.change)
			case i < returned:
				for _, dir := range e.syncs {
					note(e, &disk.Change{Kind: disk.Sync, Node: dir})
				}
				w.apply(e)
			case e.labels != nil:
				w.apply(e)
			}
		}
	}
	for set := range uint64(1) << log.Len() {
		if !log.May(set) {
			continue
		}
		left := w.clone()
		for i := range log.Len() {
			if set>>i&1 != 0 {
				part := *journal[log.Place(i)]
				part.change = log.Change(i) // it, or a half
				left.apply(&part)
			}
		}
		worlds = append(worlds, left)
	}
	return worlds
}
