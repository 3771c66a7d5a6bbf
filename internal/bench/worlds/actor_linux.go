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
	"regexp"
	"runtime"
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
	What    string
	Failed  bool
	Err     string
	Kinds   []string
	Reasons []string // "KIND:ERRNO", of every failure in the error, either of which may be ""
	Demand  bool     // flags were to be cleared and mounts detached
	Effect  layerstore.Effect
	Text    string
	Left    []string // with "end": what the process has more of than before
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
	"ErrNothingStaged": tempdir.ErrNothingStaged, "ErrLayerExists": layerstore.ErrLayerExists,
	"ErrNoParent": layerstore.ErrNoParent, "ErrUnrecorded": layerstore.ErrUnrecorded,
}

// reasons are those of an error, see [step]: what it says about a helper, or that
// something is left, is none.
func reasons(err error) (all []string) {
	reason := func(kind, err error) []string {
		name, code := "", ""
		for _, n := range slices.Sorted(maps.Keys(kinds)) {
			if kind == kinds[n] || kind != nil && name == "" && errors.Is(kind, kinds[n]) {
				name = n // the narrowest
			}
		}
		if errno := syscall.Errno(0); errors.As(err, &errno) {
			code = unix.ErrnoName(errno)
		}
		return []string{name + ":" + code}
	}
	for _, kind := range kinds {
		if err == kind {
			return reason(err, nil)
		}
	}
	switch e := err.(type) {
	case *tempdir.LeftoverError:
		for _, one := range e.Reasons {
			all = append(all, reasons(one)...)
		}
	case *tempdir.Error:
		all = reason(e.Kind, e.Err)
	case *layerstore.Error:
		if e.Kind != nil && e.Kind != layerstore.ErrLeftover || e.Err == nil {
			return reason(e.Kind, e.Err)
		}
		all = reasons(e.Err)
	case syscall.Errno:
		all = reason(nil, e)
	case interface{ Unwrap() []error }:
		for _, one := range e.Unwrap() {
			all = append(all, reasons(one)...)
		}
	case interface{ Unwrap() error }:
		all = reasons(e.Unwrap())
	default:
		all = reason(err, err)
	}
	slices.Sort(all)
	return slices.Compact(all)
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
	before := has()
	a.run()
	if j.World.is(upstream, "sameprocess") {
		before.descriptors++ // a parked descriptor is none (rule 15)
	}
	a.say(step{What: "end", Left: a.left(before)})
}

// holdings are what a process has, and a library should give back; peak is how much
// memory it has ever had from the system.
type holdings struct{ descriptors, goroutines, bytes, peak int }

func has() holdings {
	runtime.GC()
	runtime.GC() // what pools had is free only now
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return holdings{descriptors(), runtime.NumGoroutine(), int(m.HeapAlloc), int(m.Sys)}
}

// A process may keep so many bytes, which package os and the like make once, and take
// so many more from the system, which it does in arenas of 4 MB. Both are the largest
// seen in any world, doubled; no world has more than some thousand names.
const (
	mostKept = 48 << 10
	mostPeak = 8 << 20
)

// othersRun says whether another goroutine runs, or could; the others wait.
func othersRun() bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)] // this one is the first
	return regexp.MustCompile(`\n\ngoroutine \d+ [^\n]*\[(running|runnable)`).Match(stacks)
}

// left says what the process has more of than before.
func (a *actor) left(before holdings) (more []string) {
	for a.ctx.Err() == nil && runtime.NumGoroutine() > before.goroutines && othersRun() {
		runtime.Gosched() // one that has nothing left to do may not have ended yet
	}
	now := has()
	if n := now.descriptors - before.descriptors; n > 0 {
		more = append(more, fmt.Sprint(n, " descriptors"))
	}
	if n := now.goroutines - before.goroutines; n > 0 {
		more = append(more, fmt.Sprint(n, " goroutines"))
	}
	if n := now.bytes - before.bytes; n > mostKept {
		more = append(more, fmt.Sprint(n, " bytes"))
	}
	if n := now.peak - before.peak; n > mostPeak {
		more = append(more, fmt.Sprint("for a while ", n, " bytes"))
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		more = append(more, "a process")
	}
	return more
}

type actor struct {
	job
	ctx    context.Context
	demand bool // this is the second attempt, see onDemand
	staged bool // the first one has moved the victim
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
	refused := a.World.value(refuse)
	l := bench.Lack{Calls: maps.Clone(refusals[refused]), Hidden: hidden[refused], Proc: a.World.is(proc, "none")}
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
	s := step{What: what, Failed: err != nil, Demand: a.demand}
	if err != nil {
		s.Reasons = reasons(err)
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
	grace := time.Duration(0)
	if a.World.is(rootIs, "orphaned") {
		grace = 24 * time.Hour // the default
	} else {
		options = append(options, tempdir.OrphanGrace(0))
	}
	if !a.World.is(upstream, "none") {
		options = append(options, tempdir.MixedFleet(time.Minute, grace))
	}
	if a.demand {
		options = append(options, tempdir.ClearFlags(), tempdir.DetachMounts())
	}
	return options
}

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
