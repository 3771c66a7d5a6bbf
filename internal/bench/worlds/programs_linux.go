package worlds

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	bench "github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// remove is a variable for the test in which it lies.
var remove = tempdir.Remove

// onDemand makes an attempt, and a second one that clears flags and detaches mounts if
// the first one met some.
func (a *actor) onDemand(attempt func() error) {
	if err := attempt(); errors.Is(err, unix.EPERM) || errors.Is(err, tempdir.ErrMountPoint) {
		a.demand = true
		_ = attempt()
	}
}

func (a *actor) run() {
	switch a.Program {
	case "nothing":
	case "rm":
		a.rm()
	case "cli-rm", "cli-recover", "cli-ls":
		a.command()
	case "remove":
		a.onDemand(a.remove)
		a.turn()
	case "store-create", "store-delete", "store-recover", "store-list", "overlay-create", "overlay-delete":
		a.layers()
	default:
		a.onDemand(a.instances)
	}
}

func (a *actor) remove() error {
	err := remove(a.ctx, a.Victim, a.options()...)
	a.did("remove", err)
	return err
}

// rm becomes rm, which is what ours is measured by; modes that are in the way are
// changed first, where ours can do that.
func (a *actor) rm() {
	a.say(step{What: "rm"})
	script := `rm -rf -- "$1"`
	if a.World.is(proc, "full") {
		script = `chmod -R u+rwx -- "$1" && ` + script
	}
	bench.Fail(syscall.Exec("/bin/sh", []string{"sh", "-c", script, "rm", a.Victim}, []string{"PATH=/usr/bin:/bin"}))
}

func (a *actor) command() {
	arguments := []string{strings.TrimPrefix(a.Program, "cli-"), a.Root}
	if a.Program == "cli-rm" {
		arguments[1] = a.Victim
	}
	for _, a.demand = range []bool{false, true} {
		if a.demand && a.Program != "cli-ls" {
			arguments = append(arguments, "--clear-flags")
		}
		var out bytes.Buffer
		code := Command(a.ctx, arguments, &out)
		s := step{What: "command", Failed: code != 0, Text: out.String(), Demand: a.demand}
		if s.Failed {
			s.Err = fmt.Sprintf("exit code %d: %s", code, out.String())
			s.Kinds = []string{fmt.Sprint(code)}
		}
		a.say(s)
		if !strings.Contains(s.Err, tempdir.ErrImmutable.Error()) || a.Program == "cli-rm" && !exists(a.Victim) {
			return
		}
	}
}

// instances are the programs that use a root. They return the error that a second
// attempt could mend.
func (a *actor) instances() (failed error) {
	options := a.options()
	deletes := a.Program == "delete" || a.Program == "release"
	if deletes || a.Program == "add" {
		options = append(options, tempdir.Make(0o700))
	}
	root, err := tempdir.Open(a.Root, options...)
	if a.did("open", err) {
		switch {
		case a.Program == "recover" || a.staged:
			if !a.demand {
				a.turn()
			}
			_, failed = root.Recover(a.ctx)
			a.did("recover", failed)
		case a.Program == "list":
			a.turn()
			a.list(root)
		default:
			dir, err := root.Create()
			if !a.did("create", err) {
				break
			}
			a.turn()
			if deletes {
				failed = dir.StageDeletion(a.Victim)
				a.staged = a.did("stage", failed)
			} else {
				a.add(dir)
			}
			if a.Program == "release" {
				a.did("release", dir.Release())
				_, err = root.Recover(a.ctx)
				a.did("recover", err)
			} else {
				err = dir.Close(a.ctx)
				a.did("close", err)
			}
			failed = errors.Join(failed, err)
		}
		a.did("close root", root.Close())
	}
	if deletes && !a.staged {
		failed = errors.Join(failed, a.remove())
	}
	return failed
}

// list looks at a root.
func (a *actor) list(root *tempdir.Root) {
	found, err := root.Instances(a.ctx)
	text := ""
	for _, instance := range found {
		text += instance.Name + "\n"
	}
	listed := a.did("instances", err)
	dirty, err := root.MaybeDirty()
	if a.did("look", err) && listed {
		a.say(step{What: "listed", Text: fmt.Sprint(text, "dirty ", dirty)})
	}
}

// closedTop is the mode of what is added, which an ordinary user has to change to move
// it: many images have it.
const closedTop = 0o555

// add puts a tree in place, after it could not be put where something is.
func (a *actor) add(dir *tempdir.Dir) {
	addition, err := dir.StageAddition()
	if err == nil {
		err = os.MkdirAll(filepath.Join(addition.Path(), "d"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(addition.Path(), "d", "f"), []byte("added"), 0o644)
	}
	if err == nil {
		err = os.Chmod(addition.Path(), closedTop)
	}
	if err != nil {
		a.did("build", err)
		return
	}
	a.did("commit over", addition.Commit(a.Victim))
	a.did("commit", addition.Commit(a.Added))
}

// layers are the programs of the layer store.
func (a *actor) layers() {
	options := []layerstore.Option{layerstore.WithDriver(layouts[layout(a.Program)])}
	if !a.World.is(rootIs, "orphaned") {
		options = append(options, layerstore.OrphanGrace(0))
	}
	if a.Program == "store-list" {
		options = append(options, layerstore.WithoutRecovery())
		if a.World.is(fileSystem, "readonly") && !a.World.is(alias, "bind") { // where it needs neither a lock file nor a root
			a.listLayers("bare", filepath.Join(a.Store, "..", "bare"), options)
		}
		a.listLayers("layers", a.Store, options)
		return
	}
	a.onDemand(func() (failed error) {
		if a.demand {
			options = append(options, layerstore.ClearFlags())
		}
		store, err := layerstore.Open(a.Store, options...)
		if !a.did("open", err) {
			return err
		}
		if !a.demand {
			a.turn()
		}
		switch a.Program {
		case "store-create", "overlay-create":
			content := layerstore.Directory(filepath.Join(a.Store, "..", "content"))
			_, err := store.Create(a.ctx, layerstore.Layer{ID: "kept"}, content)
			a.did("layer created again", err)
			layer := layerstore.Layer{ID: "added", Labels: labels}
			if a.Program == "overlay-create" {
				layer.Parent = "kept"
			}
			_, failed = store.Create(a.ctx, layer, content)
			a.did("layer created", failed)
		case "store-delete", "overlay-delete":
			_, failed = store.Delete(a.ctx, "base")
			if errors.Is(failed, layerstore.ErrLayerUnknown) && a.demand {
				_, failed = store.Recover(a.ctx)
				a.did("recover", failed)
				break
			}
			a.did("layer deleted", failed)
		case "store-recover":
			_, failed = store.Recover(a.ctx)
			a.did("recover", failed)
		}
		a.did("close store", store.Close())
		return failed
	})
}

// listLayers reads a store.
func (a *actor) listLayers(what, path string, options []layerstore.Option) {
	store, err := layerstore.Open(path, options...)
	if !a.did("open "+what, err) {
		return
	}
	layers, err := store.List(a.ctx)
	text := ""
	for _, layer := range layers {
		text += layer.ID + "\n"
	}
	if err == nil {
		var content []byte
		content, err = store.ReadFile(a.ctx, "kept", "f")
		text += string(content)
	}
	if a.did("list "+what, err) {
		a.say(step{What: "listed layers", Text: text})
	}
	a.did("close store", store.Close())
}
