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
		case p == nil || a.slot == crash || a.slot == callFails:
			// The environment's: what disables them is a bound of the model.
			s.counts.Bounded++
			continue
		case p.upstream && p.at.action == a.Slot:
			s.counts.Bounded++ // with another id
			continue
		case (a.slot == linkLock || a.slot == createLock) && !p.creator && p.at.name != lockPrefix+s.world.ids[a.id]:
			s.counts.Elsewhere++ // an adopter's name is that of the data it saw
			continue
		case p.ownCall(s, state):
			s.counts.Bounded++ // a mutant's call of its own
			continue
		case !p.offers(a.slot) || state.PC[a.proc] == model.Closing && p.at.place == atIdle: // only the response is left
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
		} else {
			s.counts.Bounded++
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

// ownCall says whether a mutant stands before a call of its own, which is
// none of those that the library makes there.
func (p *process) ownCall(s *scheduler, state *model.State) bool {
	for _, m := range p.mutants {
		if m.stands != nil {
			if _, is := m.stands(s, p, state); is {
				return true
			}
		}
	}
	return false
}

// offers says whether the code stands where the process may take this action.
func (p *process) offers(a slot) bool {
	switch p.at.place {
	case atIdle:
		if p.upstream {
			return false // what disables them is that nothing shows the id, or the bound of ids
		}
		return p.creator && (a == openUnnamed || a == createLock) || !p.creator && a == list
	case atLive:
		if p.upstream {
			return a == invoke || a == stageAddition
		}
		return a == invoke || a == stageAddition || a == openDirectory || a == removeData
	case atReply:
		return a == returns
	}
	if p.upstream {
		return false
	}
	switch p.at.method {
	case kernel.OpenUnnamed:
		return a == openUnnamed
	case kernel.CreateLock:
		return a == createLock
	case kernel.OpenLock:
		return a == openLock
	case kernel.OpenToInspect:
		return a == openToInspect
	case kernel.LockHolder:
		return a == lockHolder
	case kernel.TakeLock:
		return a == takeLock
	case kernel.LinkLock:
		return a == linkLock
	case kernel.StatName:
		return a == statName
	case kernel.MakeData:
		return a == makeData
	case kernel.StageDeletion:
		return a == stageDeletion
	case kernel.Commit:
		return a == commit
	case kernel.OpenDirectory:
		return a == openDirectory
	case kernel.List:
		if p.of(p.at.fd).kind == dataKind {
			return a == openEntry || a == removeData
		}
		return a == removeEntry
	case kernel.RemoveLock:
		return a == removeLock
	case kernel.Close:
		return a == closes
	}
	return false
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
	switch a.slot {
	case list: // no name that a listing of the library's own shows may be the id's
		return true, p.seesNot(a.id)
	case linkLock, createLock:
		switch {
		case w.seen.lock[a.id] == 0:
			return false, nil
		case a.slot == linkLock:
			err, want = k.LinkLock(p.lock, w.rootFd, lockFile), unix.EEXIST
		default:
			_, err = k.CreateLock(w.rootFd, lockFile)
			want = unix.EEXIST
		}
	case openEntry:
		_, err = k.OpenDirectory(p.at.fd, "0-"+w.itemNames[a.item])
		want = unix.ENOENT
	case removeData:
		err, want = k.RemoveData(w.rootFd, data), unix.ENOTEMPTY
	case invoke:
		if !p.unjudged && !p.upstream {
			o := order{op: opStageDeletion, item: a.item}
			if !w.isVictim(a.item) {
				o.op = opCommit
			}
			return true, p.refuses(o, w.seen.data[state.ID[a.proc]] != 0)
		}
		if want = unix.ENOENT; s.world.isVictim(a.item) {
			err = k.StageDeletion(w.home(a.item), w.rootFd, filepath.Join(data, "refused"))
		} else {
			err = k.Commit(w.rootFd, filepath.Join(data, "refused"), w.home(a.item))
		}
	case stageAddition:
		if w.seen.data[state.ID[a.proc]] != 0 {
			return false, nil
		}
		err, want = unix.Mkdirat(w.rootFd, filepath.Join(data, "refused"), 0o700), unix.ENOENT
	case openUnnamed: // a bound of the model: no id is left
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
