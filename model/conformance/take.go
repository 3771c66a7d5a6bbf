//go:build linux

package conformance

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
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
		return s.takeUpstream(p, a, from, to)
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
		return p.call(kernel.OpenUnnamed, opCreate)
	case "CreateLock", "LinkLock":
		op := opCreate
		if a.Slot == "LinkLock" {
			op = none
		}
		if err := p.goTo(methods[a.Slot], op); err != nil {
			return err
		}
		s.bind(a.id, p.at.name)
		return p.resume()
	case "List":
		p.order = order{op: opRecover, id: a.id, saw: to.PC[a.proc]}
		if p.inspector {
			p.order.op = opInspect
		}
		return p.command()
	case "Invoke":
		p.order = order{op: opStageDeletion, item: a.item}
		if slices.Contains(s.config.Addition, s.world.itemNames[a.item]) {
			p.order.op = opCommit
		}
		return p.command()
	case "StageAddition":
		p.order = order{op: opStageAddition, item: a.item}
		if err := p.command(); err != nil || !p.forked {
			return err
		}
		return s.followAddition(a.item, from.ID[a.proc])
	case "Return":
		return p.returns()
	case "OpenDirectory":
		return p.call(kernel.OpenDirectory, opCloseStaged)
	case "OpenEntry":
		p.grant.show = a.item
		if slices.Contains(s.config.Mounted, s.world.itemNames[a.item]) {
			p.fails(tempdir.ErrMountPoint, tempdir.ErrLeftover)
		}
		return p.call(kernel.List, none)
	case "RemoveEntry":
		return p.call(kernel.List, none)
	case "RemoveData":
		if p.at.place == atLive {
			p.order = order{op: opClose}
			if p.staged {
				p.grant.through = true // the code opens and lists first, the specification need not
				return p.resume()
			}
			return p.call(kernel.RemoveData, opClose)
		}
		return p.call(kernel.List, none)
	case "Release":
		p.order = order{op: opRelease}
		return p.command()
	case "Close":
		if from.Fd[a.proc] == model.None && p.at.place == atIdle {
			return nil // the response alone
		}
	}
	if m, is := methods[a.Slot]; is {
		return p.call(m, none)
	}
	return fmt.Errorf("%s has no place in the code", a)
}

// returns lets the caller take a response.
func (p *process) returns() error {
	if p.at.place != atReply {
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
func (p *process) goTo(m kernel.Method, op operation) error {
	if op != none && (p.at.place == atIdle || p.at.place == atLive) {
		p.order = order{op: op}
		if err := p.resume(); err != nil {
			return err
		}
	}
	if m != kernel.Stat {
		if err := p.passStat(); err != nil {
			return err
		}
	}
	if p.at.place != atCall || p.at.method != m {
		return p.elsewhere("before " + m.String())
	}
	return nil
}

// passStat lets a process look at the file it has open, if that is what it
// stands before: it is one step with the call after it.
func (p *process) passStat() error {
	if p.at.place != atCall || p.at.method != kernel.Stat {
		return nil
	}
	return p.resume()
}

// call makes the process make a call, and go on to its next stop.
func (p *process) call(m kernel.Method, op operation) error {
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
