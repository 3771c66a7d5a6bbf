package crashsim

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A View is a tree of names to look at. Paths are slash-separated and start at
// the top of the view, without a leading slash; "." is the top itself.
type View interface {
	// List calls visit for every name in a directory, in any order.
	List(dir string, visit func(name string, kind fs.FileMode)) error
	// Read returns the content of a file.
	Read(path string) ([]byte, error)
}

// A Claim is one sentence that must be true of what a crash leaves.
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
	// flagged; at no time is there a name in the root that nobody made.
	NothingLeft Claim = "nothing-left"
	// ForeignKept: names that are not ours are as they were.
	ForeignKept Claim = "foreign-kept"
	// LiveKept: a live instance has both its names, and only its owner changes
	// it.
	LiveKept Claim = "live-kept"
	// HolderOnly: only who holds the lock of the lock file changes an instance.
	HolderOnly Claim = "holder-only"
	// CallsSucceed: operations and recovery return no error and keep no
	// descriptor.
	CallsSucceed Claim = "calls-succeed"
)

// A Finding is one thing that is wrong.
type Finding struct {
	Claim  Claim  // which claim is false
	Path   string // where, in the view
	Detail string // in words
}

// String is the finding on one line.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Claim, f.Path, f.Detail) }

// A Layer is what a store moves aside, or puts in place.
type Layer struct {
	Home   string   // its path, when it is reachable
	Files  []string // all that is below Home when it is whole, directories included
	Record string   // the file that says "complete" or "incomplete" of it; "": the store keeps none
}

// A Want is what must be true of a tree.
type Want struct {
	Root      string   // the directory of the instances
	Layers    []Layer  // which may be whole or not there at all
	Foreign   []string // names below Root that must be there
	Live      []string // ids whose owners are alive
	NoOrphans bool     // no power was lost: data always has its lock file
	Recovered bool     // recovery has ended and nobody is at work
}

const (
	lockPrefix = "lock-"
	dataPrefix = "temp-dir-"
	complete   = "complete"
	incomplete = "incomplete"
)

// Check returns everything that is wrong with the tree, in the order of the
// claims' subjects: root, then layers. It changes nothing. It does not use the
// library, whose mistakes it would share.
func Check(view View, want Want) (findings []Finding) {
	wrong := func(claim Claim, path, format string, arguments ...any) {
		findings = append(findings, Finding{claim, path, fmt.Sprintf(format, arguments...)})
	}
	var locks, data, others []string
	err := view.List(want.Root, func(name string, kind fs.FileMode) {
		if id, ok := strings.CutPrefix(name, lockPrefix); ok && !slices.Contains(want.Foreign, name) {
			locks = append(locks, id)
		} else if id, ok := strings.CutPrefix(name, dataPrefix); ok && !slices.Contains(want.Foreign, name) {
			data = append(data, id)
		} else {
			others = append(others, name)
		}
	})
	if err != nil {
		wrong(ForeignKept, want.Root, "the root cannot be read: %v", err)
	}
	for _, id := range data {
		if want.NoOrphans && !slices.Contains(locks, id) {
			wrong(DataHasLock, want.Root+"/"+dataPrefix+id, "no lock file beside it")
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
	if want.Recovered {
		for _, id := range locks {
			wrong(NothingLeft, want.Root+"/"+lockPrefix+id, "left after recovery")
		}
		for _, id := range data {
			wrong(NothingLeft, want.Root+"/"+dataPrefix+id, "left after recovery")
		}
	}
	for _, name := range others {
		if !slices.Contains(want.Foreign, name) {
			wrong(NothingLeft, want.Root+"/"+name, "there, and neither ours nor foreign")
		}
	}
	for _, name := range want.Foreign {
		if !slices.Contains(others, name) {
			wrong(ForeignKept, want.Root+"/"+name, "gone, and it is not ours")
		}
	}
	for i := range want.Layers {
		checkLayer(view, &want.Layers[i], want.Recovered, wrong)
	}
	return findings
}

func checkLayer(view View, layer *Layer, recovered bool, wrong func(claim Claim, path, format string, arguments ...any)) {
	there, missing, extra, err := contents(view, layer)
	whole := there && err == nil && missing == 0 && extra == 0
	switch {
	case err != nil:
		wrong(ReachableWhole, layer.Home, "reachable, and cannot be read: %v", err)
	case there && !whole:
		wrong(ReachableWhole, layer.Home, "reachable, %d of %d names missing, %d that do not belong there", missing, len(layer.Files), extra)
	}
	if layer.Record == "" {
		return
	}
	record, err := view.Read(layer.Record)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if there {
			wrong(NoLeak, layer.Home, "there, and no record names it")
		}
	case err != nil:
		wrong(WholeOrFlagged, layer.Record, "the record cannot be read: %v", err)
	case string(record) != complete && string(record) != incomplete:
		wrong(WholeOrFlagged, layer.Record, "the record says %q", record)
	case string(record) == complete && !whole:
		wrong(WholeOrFlagged, layer.Home, "not there or not whole, and its record %s says %s", layer.Record, record)
	case string(record) == incomplete && recovered:
		wrong(NothingLeft, layer.Record, "still says %s after recovery", record)
	}
}

// contents compares what is below the layer's home with its files.
func contents(view View, layer *Layer) (there bool, missing, extra int, err error) {
	found := 0
	err = walk(view, layer.Home, "", func(name string) {
		if slices.Contains(layer.Files, name) {
			found++
		} else {
			extra++
		}
	})
	if found+extra == 0 && errors.Is(err, fs.ErrNotExist) {
		return false, 0, 0, nil
	}
	return true, len(layer.Files) - found, extra, err
}

// walk visits every name below dir.
func walk(view View, dir, below string, visit func(name string)) error {
	var dirs []string
	err := view.List(dir, func(name string, kind fs.FileMode) {
		if below != "" {
			name = below + "/" + name
		}
		visit(name)
		if kind == fs.ModeDir {
			dirs = append(dirs, name)
		}
	})
	top := strings.TrimSuffix(dir, "/"+below)
	for _, name := range dirs {
		if err == nil {
			err = walk(view, top+"/"+name, name, visit)
		}
	}
	return err
}

// DirView is the view of a file system, such as that of [os.DirFS].
func DirView(files fs.FS) View { return dirView{files} }

type dirView struct{ files fs.FS }

func (v dirView) List(dir string, visit func(name string, kind fs.FileMode)) error {
	entries, err := fs.ReadDir(v.files, dir)
	for _, e := range entries {
		visit(e.Name(), e.Type())
	}
	return err
}

func (v dirView) Read(path string) ([]byte, error) { return fs.ReadFile(v.files, path) }
