//go:build linux

package conformance

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/model"
)

// This file is how processes that run upstream's code take the steps of
// Upstream.tla. Their stops carry the names of actions.

// takeUpstream makes such a process take a step.
func (s *scheduler) takeUpstream(p *process, a *step, from, to *model.State) error {
	switch a.Slot {
	case "UpstreamCreateLock":
		if err := p.before("UpstreamCreateLock", opCreate, 0); err != nil {
			return err
		}
		s.bind(a.id, p.at.name)
		return p.resume()
	case "List":
		return p.makeCall("List", opRecover)
	case "Invoke":
		op, action := opStageDeletion, "StageDeletion"
		if !s.world.isVictim(a.item) {
			op, action = opCommit, "Commit"
		}
		return p.before(action, op, a.item)
	case "StageAddition":
		if p.at.place != atLive {
			return p.elsewhere("between operations, with an instance")
		}
		p.order = order{op: opStageAddition, item: a.item}
		if err := p.resume(); err != nil {
			return err
		}
		return s.followAddition(a.item, from.ID[a.proc])
	case "Return":
		return p.returns()
	case "OpenDirectory":
		op := none
		if p.creator {
			op = opClose
		}
		return p.makeCall("OpenDirectory", op)
	case "OpenEntry":
		// The removal by path comes first, and finds that there is something.
		if p.at.action == "RemoveData" {
			if err := p.resume(); err != nil {
				return err
			}
		}
		return p.makeCall("OpenEntry", none)
	case "RemoveEntry":
		return s.removeEntryUpstream(p, from)
	case "Close":
		if from.Fd[a.proc] == model.None && p.at.place == atIdle {
			return nil // the response alone
		}
		return p.makeCall("Close", none)
	case "UpstreamCallFails":
		if p.at.place != atCall {
			return p.elsewhere("before a call that can fail")
		}
		p.grant.errno = unix.EIO
		return p.resume()
	}
	return p.makeCall(a.Slot, none)
}

// before makes the process stand before the call of an action.
func (p *process) before(action string, op operation, x model.Item) error {
	if op != none && (p.at.place == atIdle || p.at.place == atLive) {
		p.order = order{op: op, item: x}
		if err := p.resume(); err != nil {
			return err
		}
	}
	if p.at.action != action {
		return p.elsewhere("before " + action)
	}
	return nil
}

// makeCall makes it make the call.
func (p *process) makeCall(action string, op operation) error {
	if err := p.before(action, op, 0); err != nil {
		return err
	}
	return p.resume()
}

// removeEntryUpstream is one step of RemoveEntry. Upstream lists a directory
// once, and goes on to names that others have removed since; that is no step.
func (s *scheduler) removeEntryUpstream(p *process, from *model.State) error {
	tree := s.world.trees[from.Arg[p.number]]
	for p.at.action == "RemoveEntry" && slices.Contains(fileNames[:], p.at.name) {
		var stat unix.Stat_t
		if unix.Fstatat(tree.fd, p.at.name, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil {
			break
		}
		if err := p.resume(); err != nil {
			return err
		}
	}
	return p.makeCall("RemoveEntry", none)
}

// followAddition opens the addition that a forked process has made.
func (s *scheduler) followAddition(x model.Item, i model.ID) error {
	found, err := filepath.Glob(filepath.Join(s.world.rootPath(0), dataPrefix+s.world.ids[i], "*-addition"))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("no addition in temp-dir-%s (%v)", s.config.ID[i-1], err)
	}
	return s.world.follow(x, found[len(found)-1])
}

// compareUpstream says whether upstream's code stands where the specification
// does.
func (s *scheduler) compareUpstream(p *process, to *model.State, differs func(string, ...any)) {
	pc, at := to.PC[p.number], p.at
	want, name := upstreamStands[pc], ""
	if want.prefix != "" {
		name = want.prefix + s.world.ids[to.ID[p.number]]
	}
	if !slices.Contains(want.before, at.action) || name != "" && name != at.name {
		differs("%s stands before %s, and should stand before %s %s (at %q in the specification)",
			p.name, at, strings.Join(want.before, " or "), name, model.PCName(pc))
	}
}

// upstreamStands are the calls that upstream's processes stand before, and how what
// they are about is called.
var upstreamStands = map[model.PC]struct {
	before []string
	prefix string
}{
	model.Idle:           {[]string{"UpstreamCreateLock"}, ""}, // Create tries once more
	model.SawLock:        {[]string{"UpstreamOpenLock"}, lockPrefix},
	model.SawData:        {[]string{"UpstreamOpenLock"}, lockPrefix},
	model.SawBoth:        {[]string{"UpstreamOpenLock"}, lockPrefix},
	model.UpstreamNamed:  {[]string{"UpstreamOpenLock"}, lockPrefix},
	model.UpstreamOpened: {[]string{"UpstreamTakeLock"}, lockPrefix},
	model.UpstreamTaken:  {[]string{"UpstreamStatName"}, lockPrefix},
	model.Named:          {[]string{"MakeData"}, dataPrefix},
	model.Claimed:        {[]string{"OpenDirectory"}, dataPrefix},
	model.Calling:        {[]string{"StageDeletion", "Commit"}, ""},
	model.Emptying:       {[]string{"RemoveData"}, dataPrefix},
	model.InsideTree:     {[]string{"RemoveEntry"}, ""},
	model.Emptied:        {[]string{"UpstreamRemoveLock"}, lockPrefix},
	model.Closing:        {[]string{"Close"}, lockPrefix},
}
