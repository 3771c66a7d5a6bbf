package worlds

import (
	"context"
	"errors"
	"fmt"
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

// A process of a program that is a command needs what is set in the last init function.
const (
	roleActor   = "world"
	roleCommand = "world of a command"
)

func init() {
	bench.Begin(map[string]func([]string){roleActor: act})
	bench.Register(roleCommand, act)
}

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

// patience is how long a program may take: far more than any needs.
const patience = 20 * time.Second

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
