package worlds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	bench "github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

const roleActor = "world"

func init() { bench.Register(roleActor, act) }

// A job is what a process is told to do in a world.
type job struct {
	World                      World
	Program                    string // of the world, or one that checks need
	Root, Victim, Store, Added string
}

// A step is what it answers, and waits for a line before it goes on.
type step struct {
	What   string
	Failed bool
	Err    string
	Kinds  []string
	Effect layerstore.Effect
	Text   string
	Leaked int
}

// kinds are what an error may be told to be, by name.
var kinds = map[string]error{
	"ErrCrossDevice": tempdir.ErrCrossDevice, "ErrMountPoint": tempdir.ErrMountPoint, "ErrImmutable": tempdir.ErrImmutable,
	"ErrVictimGone": tempdir.ErrVictimGone, "ErrInstanceGone": tempdir.ErrInstanceGone, "ErrRootGone": tempdir.ErrRootGone,
	"ErrForeign": tempdir.ErrForeign, "ErrContainsRoot": tempdir.ErrContainsRoot, "ErrReadOnly": tempdir.ErrReadOnly,
	"ErrNoSpace": tempdir.ErrNoSpace, "ErrLeftover": tempdir.ErrLeftover, "ErrUnrestored": tempdir.ErrUnrestored,
	"ErrExposed": tempdir.ErrExposed, "ErrHeld": tempdir.ErrHeld, "ErrMounted": layerstore.ErrMounted,
	"ErrMountsUnknown": layerstore.ErrMountsUnknown, "ErrBusy": layerstore.ErrBusy, "ErrLayerUnknown": layerstore.ErrLayerUnknown,
	"layerstore.ErrLeftover": layerstore.ErrLeftover, "ErrDamaged": layerstore.ErrDamaged, "ErrCorrupt": layerstore.ErrCorrupt,
	"ErrUnsupported": errors.ErrUnsupported, "ErrPermission": fs.ErrPermission, "ErrNotExist": fs.ErrNotExist,
	"ErrExist": fs.ErrExist, "DeadlineExceeded": context.DeadlineExceeded,
}

// patience is how long a program may take: far more than any needs.
const patience = 20 * time.Second

// remove is a variable for the test in which it lies.
var remove = tempdir.Remove

// act is the process: it does without what the world lacks, and says what it did
// after every step.
func act([]string) {
	var j job
	bench.Fail(bench.Parent.Receive(&j))
	a := &actor{job: j}
	var cancel context.CancelFunc
	a.ctx, cancel = context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := a.lockLikeUpstream()
	if err == nil {
		err = a.lack()
	}
	if err != nil {
		a.say(step{What: "lack", Failed: true, Err: err.Error()})
		return
	}
	a.say(step{What: "ready"})
	before := descriptors()
	a.run()
	leaked := descriptors() - before
	if j.World.is(upstream, "sameprocess") {
		leaked = max(leaked-1, 0) // a parked descriptor is none (rule 15)
	}
	a.say(step{What: "end", Leaked: leaked})
}

type actor struct {
	job
	ctx context.Context
}

// lockLikeUpstream makes this process an owner of upstream's, too. The descriptor
// stays open.
func (a *actor) lockLikeUpstream() error {
	if !a.World.is(upstream, "sameprocess") {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(a.Root, "lock-42"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return posixLock(f)
}

// lack takes from the process what its world does not have.
func (a *actor) lack() error {
	if a.World.is(proc, "subset") {
		if err := unix.Mount("proc", "/proc", "proc", 0, "subset=pid"); err != nil {
			return fmt.Errorf("mount a subset of /proc: %w", err)
		}
	}
	l := bench.Lack{Calls: maps.Clone(refusals[a.World.value(refuse)]), Proc: a.World.is(proc, "none")}
	if l.Calls == nil {
		l.Calls = map[string]syscall.Errno{}
	}
	if l.Proc { // and on a kernel before 6.6, on which modes are changed by it
		l.Calls["fchmodat2"] = syscall.ENOSYS
	}
	if a.World.is(user, "ordinary") {
		l.User = ordinary
	}
	if a.World.is(space, "quota") {
		maps.Copy(l.Calls, whatTakesSpace)
	}
	if a.World.is(space, "turnsreadonly") && strings.HasPrefix(a.Program, "cli-") {
		maps.Copy(l.Calls, whatTurns)
	}
	return l.Apply()
}

// descriptors counts those that are open, without /proc.
func descriptors() (n int) {
	for fd := range 256 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return n
}

func (a *actor) say(s step) {
	bench.Fail(bench.Parent.Send(s))
	if _, err := bench.Parent.Line(); err != nil {
		os.Exit(1) // nobody is there any more
	}
}

// did says how a step ended, and reports whether it succeeded.
func (a *actor) did(what string, err error) bool {
	s := step{What: what, Failed: err != nil}
	if err != nil {
		s.Err, s.Effect = err.Error(), layerstore.EffectOf(err)
		for _, name := range slices.Sorted(maps.Keys(kinds)) {
			if errors.Is(err, kinds[name]) {
				s.Kinds = append(s.Kinds, name)
			}
		}
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			s.Kinds = append(s.Kinds, unix.ErrnoName(errno))
		}
	}
	a.say(s)
	return err == nil
}

// turn makes the file system read-only for this process, if the world does that.
func (a *actor) turn() {
	if a.World.is(space, "turnsreadonly") {
		bench.Fail(bench.Lack{Calls: whatTurns}.Apply())
	}
}

func (a *actor) options() (options []tempdir.Option) {
	options = append(options, tempdir.OrphanGrace(0))
	if !a.World.is(upstream, "none") {
		options = append(options, tempdir.MixedFleet(time.Minute, 0))
	}
	return options
}

func (a *actor) run() {
	switch a.Program {
	case "nothing":
	case "rm":
		a.rm()
	case "cli-rm", "cli-recover", "cli-ls":
		a.command()
	case "remove":
		a.did("remove", remove(a.ctx, a.Victim, a.options()...))
		a.turn()
	case "store-create", "store-delete", "store-recover":
		a.layers()
	default:
		a.instances()
	}
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
	var out bytes.Buffer
	code := Command(a.ctx, arguments, &out)
	s := step{What: "command", Failed: code != 0, Text: out.String()}
	if s.Failed {
		s.Err = fmt.Sprintf("exit code %d: %s", code, out.String())
		s.Kinds = []string{fmt.Sprint(code)}
	}
	a.say(s)
}

// instances are the programs that use a root.
func (a *actor) instances() {
	options := a.options()
	if a.Program == "delete" || a.Program == "add" {
		options = append(options, tempdir.Make(0o700))
	}
	staged := false
	root, err := tempdir.Open(a.Root, options...)
	if a.did("open", err) {
		switch a.Program {
		case "delete", "add":
			dir, err := root.Create()
			if a.did("create", err) {
				a.turn()
				if a.Program == "add" {
					a.add(dir)
				} else {
					staged = a.did("stage", dir.StageDeletion(a.Victim))
				}
				a.did("close", dir.Close(a.ctx))
			}
		case "recover":
			a.turn()
			_, err := root.Recover(a.ctx)
			a.did("recover", err)
		case "list":
			a.turn()
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
		a.did("close root", root.Close())
	}
	if a.Program == "delete" && !staged {
		a.did("remove", remove(a.ctx, a.Victim, a.options()...))
	}
}

// add puts a tree in place.
func (a *actor) add(dir *tempdir.Dir) {
	addition, err := dir.StageAddition()
	if err == nil {
		err = os.MkdirAll(filepath.Join(addition.Path(), "d"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(addition.Path(), "d", "f"), []byte("added"), 0o644)
	}
	if err != nil {
		a.did("build", err)
		return
	}
	a.did("commit", addition.Commit(a.Added))
}

// layers are the programs of the layer store.
func (a *actor) layers() {
	options := []layerstore.Option{layerstore.OrphanGrace(0)}
	if !a.World.is(proc, "full") || a.World[refuse] != 0 {
		options = append(options, layerstore.CountsOnly())
	}
	store, err := layerstore.Open(a.Store, options...)
	if !a.did("open", err) {
		return
	}
	a.turn()
	switch a.Program {
	case "store-create":
		_, err := store.Create(a.ctx, layerstore.Layer{ID: "added"}, layerstore.Directory(filepath.Join(a.Store, "..", "content")))
		a.did("layer created", err)
	case "store-delete":
		_, err := store.Delete(a.ctx, "base")
		a.did("layer deleted", err)
	case "store-recover":
		_, err := store.Recover(a.ctx)
		a.did("recover", err)
	}
	a.did("close store", store.Close())
}
