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
func (s *scheduler) takeUpstream(p *process, a *step, from *model.State) error {
	switch a.Slot {
	case "UpstreamCreateLock":
		return s.names(p, a, order{Op: opCreate})
	case "List":
		return p.call("List", order{Op: opRecover})
	case "Invoke":
		if s.world.isVictim(a.item) {
			return p.goTo("StageDeletion", s.orderOf(a))
		}
		return p.goTo("Commit", s.orderOf(a))
	case "StageAddition":
		p.order = s.orderOf(a)
		if err := p.command(); err != nil {
			return err
		}
		return s.followAddition(a.item, from.ID[a.proc])
	case "Return":
		return p.returns()
	case "OpenDirectory":
		if p.creator {
			return p.call("OpenDirectory", order{Op: opClose})
		}
	case "OpenEntry":
		// The removal by path comes first, and finds that there is something.
		if p.at.Call == "RemoveData" {
			if err := p.resume(); err != nil {
				return err
			}
		}
	case "RemoveEntry":
		return s.removeEntryUpstream(p, from)
	case "Close":
		if from.Fd[a.proc] == model.None && p.at.Place == atIdle {
			return nil // the response alone
		}
	case "UpstreamCallFails":
		if p.at.Place != atCall {
			return p.elsewhere("before a call that can fail")
		}
		p.grant.Errno = unix.EIO
		return p.resume()
	}
	return p.call(a.Slot, order{})
}

// removeEntryUpstream is one step of RemoveEntry. Upstream lists a directory
// once, and goes on to names that others have removed since; that is no step.
func (s *scheduler) removeEntryUpstream(p *process, from *model.State) error {
	tree := s.world.trees[from.Arg[p.number]]
	for p.at.Call == "RemoveEntry" && slices.Contains(fileNames[:], p.at.Name) {
		var stat unix.Stat_t
		if unix.Fstatat(tree.fd, p.at.Name, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil {
			break
		}
		if err := p.resume(); err != nil {
			return err
		}
	}
	return p.call("RemoveEntry", order{})
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
	if !slices.Contains(want.before, at.Call) || name != "" && name != at.Name {
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
