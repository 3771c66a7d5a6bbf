//go:build linux

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/seam"
	"github.com/afterlock/afterlock/model"
)

// A scheduler makes logical processes take the steps of the specification on a
// real file system, one at a time, and compares the world with the state of the
// specification after each.
type scheduler struct {
	config *model.Config
	table  []step // by index in the model's actions
	world  *world
	procs  []*process // by model.Proc; 0 is nil

	// Which call of a step fails, and how, goes round: turn is the next choice,
	// choices are those of this walk, and choice, unless it is negative, is the
	// one that a schedule wants.
	turn    int
	choices []int
	choice  int

	counts   Counts
	injected map[injection]int64
}

// A step is an action of the model, with its arguments as numbers.
type step struct {
	model.Action
	slot slot
	proc model.Proc
	id   model.ID
	item model.Item
}

// A slot is an action of the specification's Next, as a number.
type slot uint8

const (
	noSlot slot = iota
	callFails
	crash
	mount
	sweep
	openUnnamed
	takeLock
	makeData
	linkLock
	createLock
	list
	invoke
	stageAddition
	openEntry
	stageDeletion
	commit
	returns
	openDirectory
	removeEntry
	removeData
	statName
	removeLock
	closes
	openLock
	skipYoung
	upstreamCreateLock
	upstreamOpenLock
	upstreamTakeLock
	upstreamStatName
	upstreamRemoveLock
	upstreamCallFails
)

var slots = map[string]slot{
	"CallFails": callFails, "Crash": crash, "Mount": mount, "Sweep": sweep, "OpenUnnamed": openUnnamed,
	"TakeLock": takeLock, "MakeData": makeData, "LinkLock": linkLock, "CreateLock": createLock, "List": list,
	"Invoke": invoke, "StageAddition": stageAddition, "OpenEntry": openEntry, "StageDeletion": stageDeletion,
	"Commit": commit, "Return": returns, "OpenDirectory": openDirectory, "RemoveEntry": removeEntry,
	"RemoveData": removeData, "StatName": statName, "RemoveLock": removeLock, "Close": closes,
	"OpenLock": openLock, "SkipYoung": skipYoung,
	"UpstreamCreateLock": upstreamCreateLock, "UpstreamOpenLock": upstreamOpenLock, "UpstreamTakeLock": upstreamTakeLock,
	"UpstreamStatName": upstreamStatName, "UpstreamRemoveLock": upstreamRemoveLock, "UpstreamCallFails": upstreamCallFails,
}

// steps resolves the actions of a model.
func steps(c *model.Config, actions []model.Action) ([]step, error) {
	procs, items := procNames(c), itemNames(c)
	table := make([]step, len(actions))
	for i, a := range actions {
		s := step{Action: a, slot: slots[a.Slot]}
		if s.slot == noSlot {
			return nil, fmt.Errorf("no conformance for the action %s", a.Slot)
		}
		for _, arg := range a.Args {
			if at := slices.Index(procs, arg); at >= 0 {
				s.proc = model.Proc(at + 1)
			} else if at := slices.Index(c.ID, arg); at >= 0 {
				s.id = model.ID(at + 1)
			} else if at := slices.Index(items, arg); at >= 0 {
				s.item = model.Item(at + 1)
			}
		}
		table[i] = s
	}
	return table, nil
}

// procNames and itemNames are in the order of the numbers of package model.
func procNames(c *model.Config) []string { return slices.Concat(c.Creator, c.Recoverer) }
func itemNames(c *model.Config) []string { return slices.Concat(c.Addition, c.Mounted, c.Victim) }

func newScheduler(dir string, m *model.Model) (*scheduler, error) {
	c := m.Protocol
	table, err := steps(c, m.Actions())
	if err != nil {
		return nil, err
	}
	w, err := newWorld(dir, c, itemNames(c))
	if err != nil {
		return nil, err
	}
	s := &scheduler{config: c, table: table, world: w, procs: []*process{nil}, choice: -1, injected: map[injection]int64{}}
	for i, name := range procNames(c) {
		p := &process{name: name, number: model.Proc(i + 1), creator: i < len(c.Creator), world: w, lock: -1}
		root := 0
		if c.RootName == "TwoNames" {
			root = i
		}
		p.path = w.rootPath(root)
		p.runner, p.mixed = new(coroutine), len(c.Upstream) > 0
		if p.upstream = slices.Contains(c.Upstream, name); p.upstream {
			p.runner = &forked{rechecks: slices.Contains(c.Repaired, name)}
		} else if p.mutants, err = mutantsOf(s, c); err != nil {
			w.close()
			return nil, err
		}
		p.unjudged = len(p.mutants) > 0
		s.procs = append(s.procs, p)
	}
	for _, p := range s.procs[1:] {
		p.fleet = s.procs
	}
	return s, nil
}

// reset makes the world what it is in the initial state, with new processes.
func (s *scheduler) reset() error {
	s.choices = s.choices[:0]
	if err := s.finishAll(); err != nil {
		return err
	}
	w := s.world
	for x := range w.trees {
		if w.trees[x].mount != "" {
			if err := w.unmount(model.Item(x)); err != nil {
				return err
			}
		}
	}
	w.forget()
	for _, name := range []string{"root", "home"} {
		if err := empty(filepath.Join(w.dir, name)); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(w.dir, "copies")); err != nil {
		return err
	}
	for i, name := range s.config.ID {
		if slices.Contains(s.config.Orphan, name) {
			w.ids[i+1] = fmt.Sprintf("%032x", i+1)
			if err := unix.Mkdirat(w.rootFd, dataPrefix+w.ids[i+1], 0o700); err != nil {
				return err
			}
		}
	}
	for x, name := range itemNames(s.config) {
		if !slices.Contains(s.config.Addition, name) {
			if err := w.makeTree(w.home(model.Item(x+1)), model.Item(x+1)); err != nil {
				return err
			}
		}
	}
	for _, p := range s.procs[1:] {
		if p.upstream && p.at.place == atIdle && p.pid != 0 {
			continue // the same process once more
		}
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

// empty removes what is in a directory.
func empty(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(path, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// finishAll ends the processes that are cheap to make, and lets the others go on
// until they have nothing open.
func (s *scheduler) finishAll() error {
	for _, p := range s.procs[1:] {
		if !p.upstream {
			p.kill()
		}
	}
	for _, p := range s.procs[1:] {
		if p.upstream && p.pid != 0 && !p.finish() {
			p.kill()
		}
	}
	return nil
}

func (s *scheduler) killAll() {
	for _, p := range s.procs[1:] {
		p.kill()
	}
}

func (s *scheduler) close() {
	s.killAll()
	s.world.close()
}

// take makes the process of an action take the step from one state to another.
func (s *scheduler) take(a *step, from, to *model.State) error {
	s.counts.Steps++
	p := s.procs[a.proc]
	if p != nil {
		p.grant = grant{}
	}
	if p != nil && a.slot != crash {
		if p.upstream {
			return s.takeUpstream(p, a, from, to)
		}
		for _, m := range p.mutants {
			if m.take != nil && m.slot == a.Slot {
				return m.take(s, p, a, from, to)
			}
		}
	}
	switch a.slot {
	case crash:
		s.counts.Crashes++
		return s.crash(p)
	case callFails:
		return s.fail(p, from)
	case mount:
		return s.world.mountOrUnmount(a.item, to.Place[a.item])
	case sweep:
		return s.sweep(a.id, from)
	case openUnnamed:
		return p.call(seam.OpenUnnamed, opCreate)
	case createLock:
		if err := p.goTo(seam.CreateLock, opCreate); err != nil {
			return err
		}
		s.bind(a.id, p.at.name)
		return p.resume()
	case linkLock:
		if err := p.goTo(seam.LinkLock, none); err != nil {
			return err
		}
		s.bind(a.id, p.at.name)
		return p.resume()
	case takeLock:
		return p.call(seam.TakeLock, none)
	case makeData:
		return p.call(seam.MakeData, none)
	case list:
		p.order = order{op: opRecover, id: a.id, saw: to.PC[a.proc]}
		return p.command()
	case invoke:
		p.order = order{op: opStageDeletion, item: a.item}
		if slices.Contains(s.config.Addition, s.world.itemNames[a.item]) {
			p.order.op = opCommit
		}
		return p.command()
	case stageAddition:
		p.order = order{op: opStageAddition, item: a.item}
		return p.command()
	case returns:
		if p.at.place != atReply {
			return p.elsewhere("a response")
		}
		return p.resume()
	case stageDeletion:
		return p.call(seam.StageDeletion, none)
	case commit:
		return p.call(seam.Commit, none)
	case openDirectory:
		return p.call(seam.OpenDirectory, opCloseStaged)
	case openEntry:
		p.grant.show = a.item
		if slices.Contains(s.config.Mounted, s.world.itemNames[a.item]) {
			p.failed = true // the removal refuses to cross the mount
		}
		return p.call(seam.List, none)
	case removeEntry:
		return p.call(seam.List, none)
	case removeData:
		if p.at.place == atLive {
			p.order = order{op: opClose}
			if p.staged {
				p.grant.through = true // the code opens and lists first, the specification need not
				return p.resume()
			}
			return p.call(seam.RemoveData, opClose)
		}
		return p.call(seam.List, none)
	case statName:
		return p.call(seam.StatName, none)
	case removeLock:
		return p.call(seam.RemoveLock, none)
	case openLock:
		return p.call(seam.OpenLock, none)
	case closes:
		if from.Fd[a.proc] == model.None && p.at.place == atIdle {
			return nil // the response alone
		}
		return p.call(seam.Close, none)
	}
	return fmt.Errorf("%s has no place in the code", a)
}

// bind makes an id of the model stand for the one that the process drew.
func (s *scheduler) bind(i model.ID, name string) {
	if s.world.ids[i] == "" {
		s.world.ids[i] = strings.TrimPrefix(strings.TrimPrefix(name, lockPrefix), dataPrefix)
	}
}

// goTo makes the process stand before a call: it stands there already, or its
// caller is between operations and gets the order.
func (p *process) goTo(m seam.Method, op operation) error {
	if op != none && (p.at.place == atIdle || p.at.place == atLive) {
		p.order = order{op: op}
		if err := p.resume(); err != nil {
			return err
		}
	}
	if p.at.place != atCall || p.at.method != m {
		return p.elsewhere("before " + m.String())
	}
	return nil
}

// call makes the process make a call, and go on to its next stop.
func (p *process) call(m seam.Method, op operation) error {
	if err := p.goTo(m, op); err != nil {
		return err
	}
	return p.resume()
}

// command gives the caller its next order.
func (p *process) command() error {
	if p.at.place != atIdle && p.at.place != atLive {
		return p.elsewhere("between operations")
	}
	return p.resume()
}

func (p *process) elsewhere(where string) error {
	return fmt.Errorf("%s should stand %s, and is at %s", p.name, where, p.at)
}

// crash kills the operating system process of p, with every goroutine in it.
func (s *scheduler) crash(p *process) error {
	for _, q := range s.procs[1:] {
		if q == p || s.config.Pid == "Together" {
			q.kill()
			if err := q.start(); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweep is a stranger who removes the data directory of an instance.
func (s *scheduler) sweep(i model.ID, from *model.State) error {
	for _, p := range s.procs[1:] {
		if p.creator && from.ID[p.number] == i {
			p.failed = true // its owner will hear of it
		}
	}
	return unix.Unlinkat(s.world.rootFd, dataPrefix+s.world.ids[i], unix.AT_REMOVEDIR)
}
