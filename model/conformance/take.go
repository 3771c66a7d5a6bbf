//go:build linux

package conformance

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/upstream"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/tempdir"
)

// take makes the process of an action take the step from one state to another.
func (s *scheduler) take(a *step, from, to *model.State) error {
	s.counts.Steps++
	p := s.procs[a.proc]
	for _, q := range s.procs[1:] {
		if q != p { // the step may come between the two looks of its recheck
			if err := q.passStat(); err != nil {
				return err
			}
		}
	}
	if p != nil {
		p.grant = grant{}
		p.expects(a, from, to)
	}
	if p != nil && p.upstream && a.Slot != "Crash" {
		return s.takeUpstream(p, a, from)
	}
	switch a.Slot {
	case "Crash":
		s.counts.Crashes++
		return s.crash(p)
	case "CallFails":
		return s.fail(p, from)
	case "Mount":
		return s.world.mountOrUnmount(a.item, to.Place[a.item])
	case "Sweep":
		return s.sweep(a.id, from)
	case "OpenUnnamed":
		return p.call("OpenUnnamed", order{Op: opCreate})
	case "CreateLock", "LinkLock":
		o := order{Op: opCreate}
		if a.Slot == "LinkLock" {
			o.Op = none
		}
		return s.names(p, a, o)
	case "List":
		p.order = order{Op: opRecover, ID: a.id, Saw: to.PC[a.proc]}
		if p.inspector {
			p.order.Op = opInspect
		}
		return p.command()
	case "Invoke":
		p.order = s.orderOf(a)
		return p.command()
	case "StageAddition":
		p.order = s.orderOf(a)
		return p.command()
	case "Return":
		return p.returns()
	case "OpenDirectory":
		return p.call("OpenDirectory", order{Op: opCloseStaged})
	case "OpenEntry":
		p.grant.Show = a.item
		if slices.Contains(s.config.Mounted, s.world.itemNames[a.item]) {
			p.fails(tempdir.ErrMountPoint, tempdir.ErrLeftover)
		}
		return p.call("List", order{})
	case "RemoveEntry":
		return p.call("List", order{})
	case "RemoveData":
		if p.at.Place == atLive {
			p.order = order{Op: opClose}
			if p.staged {
				p.grant.Through = true // the code opens and lists first, the specification need not
				return p.resume()
			}
			return p.call("RemoveData", order{Op: opClose})
		}
		return p.call("List", order{})
	case "Release":
		p.order = order{Op: opRelease}
		return p.command()
	case "Close":
		if from.Fd[a.proc] == model.None && p.at.Place == atIdle {
			return nil // the response alone
		}
	}
	return p.call(a.Slot, order{})
}

// names makes the call that gives a lock file its name.
func (s *scheduler) names(p *process, a *step, o order) error {
	if err := p.goTo(a.Slot, o); err != nil {
		return err
	}
	s.bind(a.id, p.at.Name)
	return p.resume()
}

// orderOf is the order to the caller that an action is, if it is one.
func (s *scheduler) orderOf(a *step) order {
	o := order{Item: a.item}
	switch a.Slot {
	case "Invoke":
		if o.Op = opCommit; s.world.isVictim(a.item) {
			o.Op = opStageDeletion
		}
	case "StageAddition":
		o.Op = opStageAddition
	case "OpenDirectory":
		o.Op = opCloseStaged
	case "RemoveData":
		o.Op = opClose
	}
	return o
}

// returns lets the caller take a response.
func (p *process) returns() error {
	if p.at.Place != atReply {
		return p.elsewhere("a response")
	}
	return p.resume()
}

// bind makes an id of the model stand for the one that the process drew.
func (s *scheduler) bind(i model.ID, name string) {
	if s.world.ids[i] == "" {
		s.world.ids[i] = idOfName(name)
	}
}

func idOfName(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, lockPrefix), dataPrefix)
}

// goTo makes the process stand before a call: it stands there already, or its
// caller is between operations and gets the order.
func (p *process) goTo(call string, o order) error {
	if o.Op != none && (p.at.Place == atIdle || p.at.Place == atLive) {
		p.order = o
		if err := p.resume(); err != nil {
			return err
		}
	}
	if call != "Stat" {
		if err := p.passStat(); err != nil {
			return err
		}
	}
	if p.at.Place != atCall || p.at.Call != call {
		return p.elsewhere("before " + call)
	}
	return nil
}

// passStat lets a process look at the file it has open, if that is what it
// stands before: it is one step with the call after it.
func (p *process) passStat() error {
	if p.at.Place != atCall || p.at.Call != "Stat" {
		return nil
	}
	return p.resume()
}

// call makes the process make a call, and go on to its next stop.
func (p *process) call(call string, o order) error {
	if err := p.goTo(call, o); err != nil {
		return err
	}
	return p.resume()
}

// command gives the caller its next order.
func (p *process) command() error {
	if p.at.Place != atIdle && p.at.Place != atLive {
		return p.elsewhere("between operations")
	}
	return p.resume()
}

func (p *process) elsewhere(where string) error {
	return fmt.Errorf("%s should stand %s, and is at %s", p.name, where, p.at)
}

// crash kills the operating system process of p, with every goroutine in it.
func (s *scheduler) crash(p *process) error {
	crashes := func(q *process) bool { return q == p || s.config.Pid == "Together" }
	for _, q := range s.procs[1:] {
		if crashes(q) {
			q.kill()
		}
	}
	s.upstream = new(upstream.Process)
	for _, q := range s.procs[1:] {
		if crashes(q) {
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
			p.swept = true // its owner will hear of it
		}
	}
	return unix.Unlinkat(s.world.rootFd, dataPrefix+s.world.ids[i], unix.AT_REMOVEDIR)
}
