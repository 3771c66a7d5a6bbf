// Package world is what checks see of a place where processes were at work, and
// what must be true of it. The observers are several and independent of each
// other: listings and reads of a real file system (crashsim/blackbox), a walk of
// the simulated disk (crashsim). What they see is one value, a [Tree], and what
// must be true of it is said and checked once, by [Check].
//
// Nothing here is the library's: it writes the names on disk itself.
package world

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Node is one name.
type Node struct {
	Path    string // below the tree's directory
	Kind    byte   // one of the constants
	Content string // of a file, or where a link leads
}

// Kinds of nodes.
const (
	Directory = 'd'
	File      = 'f'
	Link      = 'l'
	Other     = '?'
)

// A Tree is what is in a directory. A directory comes before what is in it.
type Tree []Node

// Find is the node at the path, or nil.
func (t Tree) Find(path string) *Node {
	for i := range t {
		if t[i].Path == path {
			return &t[i]
		}
	}
	return nil
}

// Below is what is below the directory, with paths below it. ok reports whether
// the directory exists, as a directory.
func (t Tree) Below(dir string) (inner Tree, ok bool) {
	for _, n := range t {
		if rest, cut := strings.CutPrefix(n.Path, dir); cut && rest != "" && rest[0] == '/' {
			inner = append(inner, Node{rest[1:], n.Kind, n.Content})
		} else if cut && rest == "" {
			ok = n.Kind == Directory
		}
	}
	return inner, ok
}

// Names on disk.
const (
	lockPrefix = "lock-"
	dataPrefix = "temp-dir-"
)

// Orphans are the ids that have data in the root and no lock file.
func (t Tree) Orphans(root string) (ids []string) {
	inner, _ := t.Below(root)
	locks, data := inner.instances(nil)
	return slices.DeleteFunc(data, func(id string) bool { return slices.Contains(locks, id) })
}

// instances are the ids of the lock files and of the data directories in a root.
func (t Tree) instances(foreign []string) (locks, data []string) {
	for _, n := range t {
		if strings.Contains(n.Path, "/") || slices.Contains(foreign, n.Path) {
			continue
		}
		if id, ok := strings.CutPrefix(n.Path, lockPrefix); ok {
			locks = append(locks, id)
		} else if id, ok := strings.CutPrefix(n.Path, dataPrefix); ok {
			data = append(data, id)
		}
	}
	return locks, data
}

// A Claim is one sentence that must be true.
type Claim string

const (
	// ReachableWhole: what is reachable by its path is whole (rule 11).
	ReachableWhole Claim = "reachable-whole"
	// WholeOrFlagged: a layer whose record says "complete" is there, and whole.
	WholeOrFlagged Claim = "whole-or-flagged"
	// NoLeak: a layer that is there has a record.
	NoLeak Claim = "no-leak"
	// DataHasLock: no data directory without its lock file.
	DataHasLock Claim = "data-has-lock"
	// NothingLeft: after one recovery no instance is left, and no record is
	// flagged; at no time is there a name that nobody made.
	NothingLeft Claim = "nothing-left"
	// ForeignKept: names that are not ours are as they were.
	ForeignKept Claim = "foreign-kept"
	// LiveKept: a live instance has both its names, and only its owner changes
	// it.
	LiveKept Claim = "live-kept"
	// RepliesTrue: what was reported as done is, and what was not asked for is not.
	RepliesTrue Claim = "replies-true"
	// HolderOnly: only who holds the lock of the lock file changes an instance.
	HolderOnly Claim = "holder-only"
	// CallsSucceed: operations and recovery return no error and keep no
	// descriptor.
	CallsSucceed Claim = "calls-succeed"
)

// A Finding is one thing that is wrong.
type Finding struct {
	Claim  Claim  // which claim is false
	Path   string // where
	Detail string // in words
}

// String is the finding on one line.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Claim, f.Path, f.Detail) }

// A Layer is what a store moves aside, or puts in place.
type Layer struct {
	Home   string // its path, when it is reachable
	Tree   Tree   // all that is below Home when it is whole
	Loose  bool   // it is one file, and not a directory
	Record string // the file that says Complete or Incomplete of it; "": the store keeps none
	Reply  Reply
}

// A Reply is what is known of where a layer has to be.
type Reply byte

const (
	Pending Reply = iota // it may be whole, or not there at all
	There                // nobody has deleted it, or its addition reported success
	Gone                 // its deletion reported success
)

// What records say.
const (
	Complete   = "complete"
	Incomplete = "incomplete"
)

// A Want is what must be true of a tree.
type Want struct {
	Root      string   // the directory of the instances; it may be missing
	Layers    []Layer  // beside these, and the directories they are in, nobody makes anything
	Foreign   []string // names in Root that must be there
	Live      []string // ids whose owners are alive
	Orphans   []string // ids whose lock files were missing from the start
	NoOrphans bool     // no power was lost: other data always has its lock file
	Recovered bool     // recovery has ended and nobody is at work
}

// Check returns everything that is wrong with the tree, in the order of the
// claims' subjects: root, then layers, then names that nobody made.
func Check(t Tree, want *Want) (findings []Finding) {
	wrong := func(claim Claim, path, format string, arguments ...any) {
		findings = append(findings, Finding{claim, path, fmt.Sprintf(format, arguments...)})
	}
	inner, _ := t.Below(want.Root)
	locks, data := inner.instances(want.Foreign)
	for _, id := range data {
		if want.NoOrphans && !slices.Contains(locks, id) && !slices.Contains(want.Orphans, id) {
			wrong(DataHasLock, want.Root+"/"+dataPrefix+id, "data without lock file, which only power loss may leave")
		}
	}
	for _, id := range want.Live {
		if !slices.Contains(locks, id) {
			wrong(LiveKept, want.Root+"/"+lockPrefix+id, "gone, and its owner is alive")
		}
		if !slices.Contains(data, id) {
			wrong(LiveKept, want.Root+"/"+dataPrefix+id, "gone, and its owner is alive")
		}
	}
	for _, n := range inner {
		first, _, _ := strings.Cut(n.Path, "/")
		if known := slices.Contains(want.Foreign, first); known || first != n.Path {
			continue
		}
		switch isOurs := strings.HasPrefix(first, lockPrefix) || strings.HasPrefix(first, dataPrefix); {
		case want.Recovered:
			wrong(NothingLeft, want.Root+"/"+n.Path, "left in the root")
		case !isOurs:
			wrong(NothingLeft, want.Root+"/"+n.Path, "there, and neither ours nor foreign")
		}
	}
	for _, name := range want.Foreign {
		if inner.Find(name) == nil {
			wrong(ForeignKept, want.Root+"/"+name, "gone, and it is not ours")
		}
	}
	for i := range want.Layers {
		checkLayer(t, &want.Layers[i], want.Recovered, wrong)
	}
	for i := range t {
		if !want.knows(t[i].Path) {
			wrong(NothingLeft, t[i].Path, "there, and nobody made it")
		}
	}
	return findings
}

// knows reports whether the path is one of those that the claims are about.
func (w *Want) knows(name string) bool {
	if within(name, w.Root) || within(w.Root, name) {
		return true
	}
	for i := range w.Layers {
		l := &w.Layers[i]
		if within(name, l.Home) || path.Dir(l.Home) == name || l.Record != "" && (l.Record == name || path.Dir(l.Record) == name) {
			return true
		}
	}
	return false
}

// within reports whether the path is dir, or below it.
func within(name, dir string) bool {
	return strings.HasPrefix(name, dir) && (len(name) == len(dir) || name[len(dir)] == '/')
}

func checkLayer(t Tree, layer *Layer, recovered bool, wrong func(claim Claim, path, format string, arguments ...any)) {
	home := t.Find(layer.Home)
	there := home != nil
	inner, fits := t.Below(layer.Home)
	if layer.Loose {
		fits = there && home.Kind == File
	}
	found := 0
	for i := range inner {
		if slices.Contains(layer.Tree, inner[i]) {
			found++
		}
	}
	whole := fits && found == len(layer.Tree) && found == len(inner)
	switch {
	case there && !fits:
		wrong(ReachableWhole, layer.Home, "is there, and of another type")
	case there && !whole:
		wrong(ReachableWhole, layer.Home, "is there and not whole: %d of %d names missing, %d that do not belong there", len(layer.Tree)-found, len(layer.Tree), len(inner)-found)
	case there && layer.Reply == Gone:
		wrong(RepliesTrue, layer.Home, "is there, and its deletion reported success")
	case !there && layer.Reply == There:
		wrong(RepliesTrue, layer.Home, "is lost")
	}
	if layer.Record == "" {
		return
	}
	record := t.Find(layer.Record)
	switch {
	case record == nil:
		if there {
			wrong(NoLeak, layer.Home, "there, and no record names it")
		}
	case record.Kind != File:
		wrong(WholeOrFlagged, layer.Record, "the record is no file")
	case record.Content != Complete && record.Content != Incomplete:
		wrong(WholeOrFlagged, layer.Record, "the record says %q", record.Content)
	case record.Content == Complete && !whole:
		wrong(WholeOrFlagged, layer.Home, "not there or not whole, and its record %s says %s", layer.Record, record.Content)
	case record.Content == Incomplete && recovered:
		wrong(NothingLeft, layer.Record, "still says %s after recovery", record.Content)
	}
}
