//go:build linux

package conformance

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
)

// refuse tries every action that the specification disables in a state. Either
// the code stands elsewhere, before a call that is none of that action's; or the
// call is made, and has to be refused without effect.
func (s *scheduler) refuse(state *model.State, enabled func(action int) bool) error {
	called := false
	for i := range s.table {
		if enabled(i) {
			continue
		}
		a := &s.table[i]
		p := s.procs[a.proc]
		switch {
		case p == nil || a.Slot == "Crash" || a.Slot == "CallFails":
			continue // the environment's: what disables them is a bound of the model
		case p.upstream && p.at.Call == a.Slot:
			continue // with another id
		case (a.Slot == "LinkLock" || a.Slot == "CreateLock") && !p.creator && p.at.Name != lockPrefix+s.world.ids[a.id]:
			s.counts.Elsewhere++ // an adopter's name is that of the data it saw
			continue
		case !p.offers(a.Slot) || state.PC[a.proc] == model.Closing && p.at.Place == atIdle: // only the response is left
			s.counts.Elsewhere++
			continue
		}
		tried, err := s.try(a, p, state)
		if err != nil {
			return fmt.Errorf("%s is disabled, and was not refused: %w", a, err)
		}
		if tried {
			s.counts.Refused++
			called = true
		}
	}
	if !called {
		return nil
	}
	if err := s.compare(state, state); err != nil {
		return fmt.Errorf("actions that were refused had an effect: %w", err)
	}
	return nil
}

// offers says whether the code stands where the process may take the action.
func (p *process) offers(action string) bool {
	switch p.at.Place {
	case atIdle: // what disables upstream's is that nothing shows the id, or the bound of ids
		return !p.upstream && (p.creator && (action == "OpenUnnamed" || action == "CreateLock") || !p.creator && action == "List")
	case atLive:
		return action == "Invoke" || action == "StageAddition" || !p.upstream && (action == "OpenDirectory" || action == "RemoveData")
	case atReply:
		return action == "Return"
	}
	switch {
	case p.upstream:
		return false
	case p.at.Call != "List":
		return action == p.at.Call
	case p.of(p.at.Fd).Kind == dataKind:
		return action == "OpenEntry" || action == "RemoveData"
	}
	return action == "RemoveEntry"
}

// try makes the call of an action that is disabled, and returns an error if it
// is not refused. tried is false if the call could be made only by going beyond
// a bound of the model: ids that are used are drawn again by nobody.
func (s *scheduler) try(a *step, p *process, state *model.State) (tried bool, err error) {
	k := kernel.Linux()
	w := s.world
	lockFile := lockPrefix + w.ids[a.id]
	data := dataPrefix + w.ids[state.ID[a.proc]]
	var want unix.Errno
	switch a.Slot {
	case "List": // no name that a listing of the library's own shows may be the id's
		return true, p.seesNot(a.id)
	case "LinkLock", "CreateLock":
		switch {
		case w.seen.lock[a.id] == 0:
			return false, nil
		case a.Slot == "LinkLock":
			err, want = k.LinkLock(p.lock, w.rootFd, lockFile), unix.EEXIST
		default:
			_, err = k.CreateLock(w.rootFd, lockFile)
			want = unix.EEXIST
		}
	case "OpenEntry":
		_, err = k.OpenDirectory(p.at.Fd, "0-"+w.itemNames[a.item])
		want = unix.ENOENT
	case "RemoveData":
		err, want = k.RemoveData(w.rootFd, data), unix.ENOTEMPTY
	case "Invoke":
		if !p.unjudged && !p.upstream {
			return true, p.refuses(s.orderOf(a), w.seen.data[state.ID[a.proc]] != 0)
		}
		if want = unix.ENOENT; s.world.isVictim(a.item) {
			err = k.StageDeletion(w.home(a.item), w.rootFd, filepath.Join(data, "refused"))
		} else {
			err = k.Commit(w.rootFd, filepath.Join(data, "refused"), w.home(a.item))
		}
	case "StageAddition":
		if w.seen.data[state.ID[a.proc]] != 0 {
			return false, nil
		}
		err, want = unix.Mkdirat(w.rootFd, filepath.Join(data, "refused"), 0o700), unix.ENOENT
	case "OpenUnnamed": // a bound of the model: no id is left
		return false, nil
	default:
		return true, fmt.Errorf("%s stands before it", p.name)
	}
	if err != want {
		return true, fmt.Errorf("the kernel said %v, not %v", err, want)
	}
	return true, nil
}

// seesNot returns an error if a listing of the root shows the process a name of
// the id.
func (p *process) seesNot(id model.ID) error {
	p.free = true
	defer func() { p.free = false }()
	w := p.world
	fd, err := p.kernel.OpenDirectory(p.root, ".")
	if err != nil {
		return err
	}
	defer p.kernel.Close(fd)
	for {
		entries, err := p.kernel.List(fd, nil)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, entry := range entries {
			if text := w.ids[id]; text != "" && (entry.Name == lockPrefix+text || entry.Name == dataPrefix+text) {
				return fmt.Errorf("the root shows %s", entry.Name)
			}
		}
	}
}
