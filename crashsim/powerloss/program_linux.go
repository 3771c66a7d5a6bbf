package powerloss

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/afterlock/afterlock/internal/bench/world"
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
	file     bool // it is one file, and not a directory
}

// content is what is in every layer.
var content = world.Tree{
	{Path: "d", Kind: world.Directory}, {Path: "d/g", Kind: world.File, Content: "below"},
	{Path: "e", Kind: world.Directory}, {Path: "f0", Kind: world.File, Content: "zero"}, {Path: "f1", Kind: world.File},
	{Path: "l", Kind: world.Link, Content: "f0"},
}

// makeLayer makes a layer at path.
func makeLayer(path string) error {
	err := os.Mkdir(path, 0o755)
	for _, n := range content {
		if err != nil {
			return err
		}
		at := filepath.Join(path, n.Path)
		switch n.Kind {
		case world.Directory:
			err = os.Mkdir(at, 0o755)
		case world.File:
			err = os.WriteFile(at, []byte(n.Content), 0o644)
		case world.Link:
			err = os.Symlink(n.Content, at)
		}
	}
	return err
}

// lay makes the directories and the layers that there are from the start.
func lay(subjects []subject) func(*site) error {
	return func(s *site) error {
		for _, name := range []string{rootName, layersName, metaName} {
			if err := os.Mkdir(s.path(name), 0o700); err != nil {
				return err
			}
		}
		for _, l := range subjects {
			if l.first != world.There {
				continue
			}
			if l.file {
				if err := os.WriteFile(s.path(layersName, l.id), nil, 0o600); err != nil {
					return err
				}
			} else if err := makeLayer(s.path(layersName, l.id)); err != nil {
				return err
			}
			if l.recorded {
				if err := os.WriteFile(s.path(metaName, l.id), []byte(world.Complete), 0o600); err != nil {
					return err
				}
			}
		}
		return nil
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
func (s *site) stage(dir *tempdir.Dir, ids ...string) step {
	return func() error {
		if err := s.says("pending", ids...)(); err != nil {
			return err
		}
		for _, id := range ids {
			if err := dir.StageDeletion(s.path(layersName, id)); err != nil && !errors.Is(err, tempdir.ErrVictimGone) {
				return err
			}
		}
		return nil
	}
}

// add adds a layer, durably or plainly.
func (s *site) add(dir *tempdir.Dir, id string, durable bool) step {
	return func() error {
		if err := s.says("pending", id)(); err != nil {
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
		return inOrder(s.fsync("destination", s.path(layersName)), s.says("there", id))
	}
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
		if err := s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error { return s.stage(dir, r.Name())() }); err != nil {
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
				removed := func() error { return os.Remove(s.path(metaName, id)) }
				if err := inOrder(s.disturb, removed); err != nil {
					return err
				}
			}
			return s.fsync("forgotten", s.path(metaName))()
		}
		flag := func() error {
			for _, id := range ids {
				if err := s.save(id, world.Incomplete); err != nil {
					return err
				}
			}
			return s.fsync("flag", s.path(metaName))()
		}
		return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error {
			if early {
				return inOrder(s.says("pending", ids...), forget, s.stage(dir, ids...), dir.Sync)
			}
			return inOrder(s.says("pending", ids...), flag, s.stage(dir, ids...), dir.Sync, forget, s.says("gone", ids...))
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

// oneByOne deletes v1 and v2, each durably.
func oneByOne(s *site) error {
	return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error {
		return inOrder(s.stage(dir, "v1"), dir.Sync, s.says("gone", "v1"), s.stage(dir, "v2"), dir.Sync, s.says("gone", "v2"))
	})
}

// over is metadata that is one write, of several parts.
func over(with byte) []byte { return bytes.Repeat([]byte{with}, 4096) }

// programs are all that there are.
func programs() (all []program) {
	background := context.Background()
	all = append(storePrograms(), releasedPrograms()...)
	for _, p := range []program{
		{name: "delete", layers: there("keep", "v1", "v2"), run: func(s *site) error {
			return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error { return s.stage(dir, "v1", "v2")() })
		}},
		{name: "delete-durable", layers: there("keep", "v1", "v2"), run: oneByOne},
		{name: "files-durable", layers: []subject{{id: "v1", first: world.There, file: true}, {id: "v2", first: world.There, file: true}}, run: oneByOne},
		{name: "add", layers: append(there("keep"), gone(true, "n1")...), run: func(s *site) error {
			return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error { return s.add(dir, "n1", false)() })
		}},
		{name: "add-durable", layers: append(there("keep"), gone(false, "n1", "n2")...), run: func(s *site) error {
			return s.with(func(_ *tempdir.Root, dir *tempdir.Dir) error {
				return inOrder(s.add(dir, "n1", true), s.add(dir, "n2", true))
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
				staged := func() error { return dir.StageDeletion(victim) }
				if err := inOrder(func() error { return makeLayer(victim) }, staged, dir.Release); err != nil {
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
					recovered := func() error { _, err := third.Recover(background); return err }
					return inOrder(s.stage(one, "v1"), s.add(other, "n1", true), recovered, one.Sync, s.says("gone", "v1"), s.stage(other, "v2"), recovered)
				})
			})
		}},
		{name: "records", layers: recorded(there("keep", "v1", "v2")), run: remove(false, "v1", "v2")},
		{name: "records-first", layers: recorded(there("keep", "v1", "v2")), run: remove(true, "v1", "v2"), control: true},
		{name: "written-over", control: true, setup: func(s *site) error { return os.WriteFile(s.path(metaName, "m"), over('0'), 0o600) },
			run: func(s *site) error {
				file, err := os.OpenFile(s.path(metaName, "m"), os.O_WRONLY, 0)
				if err != nil {
					return err
				}
				_, err = file.Write(over('1'))
				return errors.Join(err, file.Sync(), file.Close())
			}, look: func(tree world.Tree) (world.Tree, error) {
				i := slices.IndexFunc(tree, func(n world.Node) bool { return n.Path == metaName+"/m" })
				if text := tree[i].Content; text != string(over('0')) && text != string(over('1')) {
					return nil, errors.New("half of it is new")
				}
				return slices.Delete(slices.Clone(tree), i, i+1), nil
			}},
		{name: "in-place", layers: there("keep", "v1", "v2"), control: true, run: func(s *site) error {
			for _, id := range []string{"v1", "v2"} {
				if err := s.says("pending", id)(); err != nil {
					return err
				}
				for i := len(content) - 1; i >= 0; i-- {
					removed := func() error { return os.Remove(s.path(layersName, id, content[i].Path)) }
					if err := inOrder(s.disturb, removed); err != nil {
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
