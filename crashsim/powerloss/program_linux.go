package powerloss

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/world"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

// A program is what processes do while power may be lost, and what they need before
// and do afterwards. What it tells its callers is in marks: "pending ID" when the
// deletion or addition of a layer begins, "gone ID" or "there ID" when it was
// acknowledged as durable.
type program struct {
	name    string
	layers  []subject
	setup   func(*site) error
	run     func(*site) error
	recover func(*site) error
	look    func(world.Tree) (world.Tree, error) // makes of a tree one that world.Check knows; nil: it is one
	control bool                                 // it is wrong, and the check has to say so
	other   bool                                 // it is of somebody else's store
	content world.Tree                           // of a layer, if that is not content
}

// A subject is a layer of a program.
type subject struct {
	id       string
	first    world.Reply
	recorded bool // the program keeps a record of it
	loose    bool // nobody promised that its content is durable
}

// Names on the disk.
const (
	rootName   = "tempdirs"
	layersName = "layers"
	metaName   = "meta"
	noiseName  = "noise"
)

// A site is where a program runs.
type site struct {
	dir  string
	mark func(text string) error // nil: there is nobody to hear it
	// noise is what others do on the file system before each change: "" nothing,
	// "fsync" sync a file of their own, "sync" sync everything.
	noise   string
	driver  string          // of somebody else's store
	without string          // the fsync that is left out
	fsyncs  map[string]bool // those that were made, and the one left out
}

func (s *site) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// says marks.
func (s *site) says(what string, ids ...string) error {
	if s.mark == nil {
		return nil
	}
	for _, id := range ids {
		if err := s.mark(what + " " + id); err != nil {
			return err
		}
	}
	return nil
}

// What changes names or content.
var changing = []kernel.Method{kernel.OpenUnnamed, kernel.CreateLock, kernel.WriteOwner, kernel.LinkLock, kernel.RemoveLock, kernel.MakeData, kernel.StageDeletion,
	kernel.Commit, kernel.CommitPlainly, kernel.RemoveData, kernel.RemoveEntry, kernel.RemoveDirectory, kernel.Hoist}

// disturb is what others do.
func (s *site) disturb() error {
	switch {
	case s.mark == nil:
		return nil
	case s.noise == "fsync":
		file, err := os.OpenFile(s.path(noiseName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return err
		}
		_, err = file.WriteString("x")
		return errors.Join(err, file.Sync(), file.Close())
	case s.noise == "sync":
		return syncAll(s.dir)
	}
	return nil
}

// fsync makes an fsync of the program's, unless it is the one that is left out.
func (s *site) fsync(name, path string) error {
	if s.skips(name) {
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// skips notes an fsync and reports whether it is left out.
func (s *site) skips(name string) bool {
	if s.fsyncs != nil {
		s.fsyncs[name] = true
	}
	return name == s.without
}

// caller names the function of the library that makes an fsync.
func caller() string {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		frame, more := frames.Next()
		_, name, library := strings.Cut(frame.Function, module)
		name = closure.ReplaceAllString(name, "")
		if name = name[strings.LastIndexByte(name, '.')+1:]; library && name != "sync" { // through which all of a root go
			return name
		}
		if !more {
			return "?"
		}
	}
}

const module = "/afterlock/tempdir"

// closure is what the name of a function in a function ends with.
var closure = regexp.MustCompile(`(-range\d+|\.func\d+|\.\d+|-fm)*$`)

// kernel is the seam of a site.
func (s *site) kernel(k kernel.Kernel) kernel.Kernel {
	return sitesKernel{kernel.Around(k, kernel.HookFunc(func(c *kernel.Call) error {
		if slices.Contains(changing, c.Method) {
			return s.disturb()
		}
		return nil
	})), s}
}

type sitesKernel struct {
	kernel.Kernel
	site *site
}

func (k sitesKernel) SyncData(dir int) error {
	if k.site.skips(caller() + ".SyncData") {
		return nil
	}
	return k.Kernel.SyncData(dir)
}

// root opens the root of tempdir programs.
func (s *site) root() (*tempdir.Root, error) {
	return tempdir.Open(s.path(rootName), tempdir.Make(0o700), tempdir.OrphanGrace(0), kernel.With[tempdir.Option](s.kernel(kernel.Linux())))
}

// content is what is in every layer.
var content = world.Tree{
	{Path: "d", Kind: world.Directory}, {Path: "d/g", Kind: world.File, Content: "below"},
	{Path: "e", Kind: world.Directory}, {Path: "f0", Kind: world.File, Content: "zero"}, {Path: "f1", Kind: world.File},
	{Path: "l", Kind: world.Link, Content: "f0"},
}

// makeLayer makes a layer at path.
func makeLayer(path string) error {
	errs := []error{os.Mkdir(path, 0o755)}
	for _, n := range content {
		at := filepath.Join(path, n.Path)
		switch n.Kind {
		case world.Directory:
			errs = append(errs, os.Mkdir(at, 0o755))
		case world.File:
			errs = append(errs, os.WriteFile(at, []byte(n.Content), 0o644))
		case world.Link:
			errs = append(errs, os.Symlink(n.Content, at))
		}
	}
	return errors.Join(errs...)
}

// lay makes the directories and the layers that there are from the start.
func lay(subjects []subject) func(*site) error {
	return func(s *site) error {
		var errs []error
		for _, name := range []string{rootName, layersName, metaName} {
			errs = append(errs, os.Mkdir(s.path(name), 0o700))
		}
		for _, l := range subjects {
			if l.first != world.There {
				continue
			}
			errs = append(errs, makeLayer(s.path(layersName, l.id)))
			if l.recorded {
				errs = append(errs, os.WriteFile(s.path(metaName, l.id), []byte(world.Complete), 0o600))
			}
		}
		return errors.Join(errs...)
	}
}

// with opens a root and creates an instance for the time of do.
func (s *site) with(do func(root *tempdir.Root, dir *tempdir.Dir) error) error {
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	dir, err := root.Create()
	if err != nil {
		return err
	}
	return errors.Join(do(root, dir), dir.Close(context.Background()))
}

// stage stages the deletion of layers.
func (s *site) stage(dir *tempdir.Dir, ids ...string) error {
	if err := s.says("pending", ids...); err != nil {
		return err
	}
	for _, id := range ids {
		if err := dir.StageDeletion(s.path(layersName, id)); err != nil && !errors.Is(err, tempdir.ErrVictimGone) {
			return err
		}
	}
	return nil
}

// add adds a layer, durably or plainly.
func (s *site) add(dir *tempdir.Dir, id string, durable bool) error {
	if err := s.says("pending", id); err != nil {
		return err
	}
	addition, err := dir.StageAddition()
	if err != nil {
		return err
	}
	if err := makeLayer(addition.Path()); err != nil {
		return err
	}
	if durable && !s.skips("content") {
		if err := syncAll(s.dir); err != nil {
			return err
		}
	}
	if err := addition.Commit(s.path(layersName, id)); err != nil || !durable {
		return err
	}
	if err := s.fsync("destination", s.path(layersName)); err != nil {
		return err
	}
	return s.says("there", id)
}

// save replaces a record.
func (s *site) save(id, text string) error {
	temporary := s.path(metaName, id+".new")
	file, err := os.Create(temporary)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	if !s.skips("record") {
		err = errors.Join(err, file.Sync())
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(temporary, s.path(metaName, id))
}

// recovery recovers the root, and then what flagged records name.
func recovery(s *site) error {
	root, err := s.root()
	if err != nil {
		return err
	}
	defer root.Close()
	report, err := root.Recover(context.Background())
	if err != nil {
		return err
	}
	for _, r := range report.Results {
		if r.Outcome != tempdir.Recovered {
			return fmt.Errorf("recovery found the instance %s %v when nobody else was there", r.ID, r.Outcome)
		}
	}
	records, err := os.ReadDir(s.path(metaName))
	if err != nil {
		return err
	}
	for _, r := range records {
		path := s.path(metaName, r.Name())
		if filepath.Ext(path) == ".new" {
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if string(text) != world.Incomplete {
			continue
		}
		if err := s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error { return s.stage(dir, r.Name()) }); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// remove is a small store that deletes layers of which it has records, in the order of
// spec/PowerLoss.tla. early forgets the records before the layers are moved aside.
func remove(early bool, ids ...string) func(*site) error {
	return func(s *site) error {
		forget := func() error {
			for _, id := range ids {
				if err := errors.Join(s.disturb(), os.Remove(s.path(metaName, id))); err != nil {
					return err
				}
			}
			return s.fsync("forgotten", s.path(metaName))
		}
		return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error {
			if err := s.says("pending", ids...); err != nil {
				return err
			}
			if early {
				return errors.Join(forget(), s.stage(dir, ids...), dir.Sync())
			}
			for _, id := range ids {
				if err := s.save(id, world.Incomplete); err != nil {
					return err
				}
			}
			if err := errors.Join(s.fsync("flag", s.path(metaName)), s.stage(dir, ids...), dir.Sync(), forget()); err != nil {
				return err
			}
			return s.says("gone", ids...)
		})
	}
}

func there(ids ...string) (all []subject) {
	for _, id := range ids {
		all = append(all, subject{id: id, first: world.There})
	}
	return all
}

func gone(loose bool, ids ...string) (all []subject) {
	for _, id := range ids {
		all = append(all, subject{id: id, first: world.Gone, loose: loose})
	}
	return all
}

func recorded(subjects []subject) []subject {
	for i := range subjects {
		subjects[i].recorded = true
	}
	return subjects
}

// programs are all that there are.
func programs() (all []program) {
	background := context.Background()
	all = append(storePrograms(), releasedPrograms()...)
	for _, p := range []program{
		{name: "delete", layers: there("keep", "v1", "v2"), run: func(s *site) error {
			return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error { return s.stage(dir, "v1", "v2") })
		}},
		{name: "delete-durable", layers: there("keep", "v1", "v2"), run: func(s *site) error {
			return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error {
				for _, id := range []string{"v1", "v2"} {
					if err := errors.Join(s.stage(dir, id), dir.Sync(), s.says("gone", id)); err != nil {
						return err
					}
				}
				return nil
			})
		}},
		{name: "add", layers: append(there("keep"), gone(true, "n1")...), run: func(s *site) error {
			return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error { return s.add(dir, "n1", false) })
		}},
		{name: "add-durable", layers: append(there("keep"), gone(false, "n1", "n2")...), run: func(s *site) error {
			return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error {
				return errors.Join(s.add(dir, "n1", true), s.add(dir, "n2", true))
			})
		}},
		{name: "recover", layers: there("keep"), setup: func(s *site) error {
			root, err := s.root()
			if err != nil {
				return err
			}
			defer root.Close()
			for i := range 3 {
				dir, err := root.Create()
				if err != nil {
					return err
				}
				victim := s.path(layersName, fmt.Sprint("old", i))
				if err := errors.Join(makeLayer(victim), dir.StageDeletion(victim), dir.Release()); err != nil {
					return err
				}
				if i == 2 { // an orphan
					if err := os.Remove(s.path(rootName, "lock-"+dir.ID())); err != nil {
						return err
					}
				}
			}
			return nil
		}, run: recovery},
		{name: "instances", layers: append(there("keep", "v1", "v2"), gone(false, "n1")...), run: func(s *site) error {
			return s.with(func(_ *tempdir.Root, one *tempdir.Dir) error {
				return s.with(func(_ *tempdir.Root, other *tempdir.Dir) error {
					third, err := s.root()
					if err != nil {
						return err
					}
					defer third.Close()
					recover := func() error { _, err := third.Recover(background); return err }
					return errors.Join(s.stage(one, "v1"), s.add(other, "n1", true), recover(), one.Sync(), s.says("gone", "v1"), s.stage(other, "v2"), recover())
				})
			})
		}},
		{name: "records", layers: recorded(there("keep", "v1", "v2")), run: remove(false, "v1", "v2")},
		{name: "records-first", layers: recorded(there("keep", "v1", "v2")), run: remove(true, "v1", "v2"), control: true},
		{name: "in-place", layers: there("keep", "v1", "v2"), control: true, run: func(s *site) error {
			for _, id := range []string{"v1", "v2"} {
				if err := s.says("pending", id); err != nil {
					return err
				}
				for i := len(content) - 1; i >= 0; i-- {
					if err := errors.Join(s.disturb(), os.Remove(s.path(layersName, id, content[i].Path))); err != nil {
						return err
					}
				}
				if err := os.Remove(s.path(layersName, id)); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		own := p.setup
		first := lay(p.layers)
		p.setup = func(s *site) error {
			if err := first(s); err != nil || own == nil {
				return err
			}
			return own(s)
		}
		p.recover = recovery
		all = append(all, p)
	}
	return all
}

// want is what must be true after the marks, and seen is the tree as world.Check knows
// it. torn counts layers whose content was not promised, and is not whole.
func (p *program) want(marks []string, tree world.Tree, recovered bool) (want world.Want, seen world.Tree, torn int, err error) {
	want = world.Want{Root: rootName, Recovered: recovered}
	if p.look != nil {
		if tree, err = p.look(tree); err != nil {
			return want, nil, 0, err
		}
	}
	content := content
	if p.content != nil {
		content = p.content
	}
	for _, l := range p.layers {
		layer := world.Layer{Home: layersName + "/" + l.id, Tree: content, Reply: l.first}
		if l.recorded {
			layer.Record = metaName + "/" + l.id
		}
		for _, mark := range marks {
			switch what, id, _ := strings.Cut(mark, " "); {
			case id != l.id:
			case what == "pending":
				layer.Reply = world.Pending
			case what == "gone":
				layer.Reply = world.Gone
			case what == "there":
				layer.Reply = world.There
			}
		}
		want.Layers = append(want.Layers, layer)
		if inner, is := tree.Below(layer.Home); l.loose && is && !slices.Equal(inner, content) {
			torn++
			tree = slices.DeleteFunc(slices.Clone(tree), func(n world.Node) bool { return strings.HasPrefix(n.Path, layer.Home+"/") })
			for _, n := range content {
				n.Path = layer.Home + "/" + n.Path
				tree = append(tree, n)
			}
		}
	}
	for _, n := range tree {
		switch {
		case n.Path == noiseName, n.Path == metaName, n.Path == layersName, n.Path == "lost+found":
		case !recovered && strings.HasPrefix(n.Path, metaName+"/") && strings.HasSuffix(n.Path, ".new"):
		default:
			seen = append(seen, n)
		}
	}
	return want, seen, torn, nil
}

// looked looks at what is below dir.
func looked(dir string) (world.Tree, error) {
	tree, err := world.Look(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.EUCLEAN) {
		return nil, fmt.Errorf("the file system is damaged: %w", err)
	}
	return tree, err
}
