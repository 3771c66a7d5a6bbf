//go:build linux

package conformance

import (
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
)

// An injection is a call that was made to fail, and how.
type injection struct {
	method kernel.Method
	errno  unix.Errno
}

// errnos are what calls are made to fail with. What is no failure to the
// protocol is left out: EAGAIN from TakeLock, ENOENT where a name may be gone,
// EEXIST from LinkLock, what says that unnamed files do not work here, and
// EACCES from OpenDirectory, which the code mends. So is what says that locks are
// not to be had here, ENOLCK above all: the specification has no such file system,
// and the code then unlinks what it made to be locked.
var errnos = map[kernel.Method][]unix.Errno{
	kernel.TakeLock:        {unix.EIO, unix.ESTALE, unix.EINTR, unix.ENOMEM},
	kernel.LockHolder:      {unix.EIO, unix.ENOLCK, unix.EINVAL},
	kernel.LinkLock:        {unix.ENOSPC, unix.EIO, unix.EDQUOT, unix.EROFS, unix.ENOMEM},
	kernel.Stat:            {unix.EIO, unix.ESTALE, unix.ENOMEM},
	kernel.StatName:        {unix.EIO, unix.EACCES, unix.ESTALE, unix.ENOMEM},
	kernel.MakeData:        {unix.EEXIST, unix.ENOSPC, unix.EIO, unix.EDQUOT, unix.EMLINK},
	kernel.StageDeletion:   {unix.EIO, unix.ENOSPC, unix.EACCES, unix.EXDEV, unix.EBUSY, unix.EROFS},
	kernel.Commit:          {unix.EIO, unix.ENOSPC, unix.EACCES, unix.EXDEV, unix.EBUSY, unix.EEXIST},
	kernel.OpenDirectory:   {unix.EIO, unix.EMFILE, unix.ENFILE, unix.ENOMEM},
	kernel.List:            {unix.EIO, unix.ENOMEM},
	kernel.RemoveEntry:     {unix.EIO, unix.EACCES, unix.EPERM, unix.EBUSY, unix.EROFS},
	kernel.RemoveDirectory: {unix.EIO, unix.EACCES, unix.EPERM, unix.EBUSY},
	kernel.RemoveData:      {unix.EIO, unix.EACCES, unix.EPERM, unix.EBUSY},
	kernel.RemoveLock:      {unix.EIO, unix.EACCES, unix.EPERM, unix.EROFS},
}

// fail makes the next call of p fail: each time another of those that the step
// consists of, with another errno.
func (s *scheduler) fail(p *process, from *model.State) error {
	op := none
	var calls []kernel.Method
	switch from.PC[p.number] {
	case model.Live:
		op, calls = opCloseStaged, []kernel.Method{kernel.OpenDirectory}
	case model.Emptying:
		calls = []kernel.Method{kernel.List}
		x := s.anEntry(from, from.ID[p.number])
		switch {
		case from.Data>>from.ID[p.number]&1 == 0: // a stranger removed it
		case x == 0:
			calls = append(calls, kernel.RemoveData)
		case s.world.trees[x].mount == "":
			p.grant.Show = x
			calls = append(calls, kernel.OpenDirectory)
		}
	case model.InsideTree:
		calls = []kernel.Method{kernel.List, kernel.RemoveDirectory}
		if from.Tree[from.Arg[p.number]] > 0 {
			calls[1] = kernel.RemoveEntry
		}
	case model.Calling:
		calls = []kernel.Method{methods[p.at.Call]}
		x, i := from.Arg[p.number], from.ID[p.number]
		if home := from.Place[x] == model.Home; from.Data>>i&1 == 0 || s.world.isVictim(x) != home {
			calls = append(calls, kernel.StatName) // the look at what is missing
		}
	case model.Opened, model.Looking, model.Taken, model.Emptied:
		if calls = []kernel.Method{methods[stands[from.PC[p.number]].before]}; p.at.Call == "Stat" {
			calls = append(calls, kernel.Stat)
		}
	default:
		calls = []kernel.Method{methods[p.at.Call]}
	}
	turn := s.turn
	s.turn++
	if s.step < len(s.wanted) && s.wanted[s.step] >= 0 {
		turn = s.wanted[s.step]
	}
	s.choices = append(s.choices, turn)
	failing := calls[turn%len(calls)]
	choice := errnos[failing]
	if p.at.Place != atCall && op == none || len(choice) == 0 {
		return p.elsewhere("before a call that can fail")
	}
	errno := choice[turn/len(calls)%len(choice)]
	s.injected[injection{failing, errno}]++
	p.grant.Errno, p.grant.Failing = errno, failing
	if err := p.call(stopOf(failing, calls).String(), order{Op: op}); err != nil {
		return err
	}
	if p.grant.Errno != 0 {
		return p.elsewhere("behind a failed " + failing.String())
	}
	return nil
}

// stopOf is where the process stands before a step that has the call in it.
func stopOf(failing kernel.Method, calls []kernel.Method) kernel.Method {
	switch calls[0] {
	case kernel.List, kernel.StageDeletion, kernel.Commit:
		return calls[0]
	}
	return failing
}

// anEntry is a tree that is in the data directory of id i, or 0.
func (s *scheduler) anEntry(from *model.State, i model.ID) model.Item {
	for x := 1; x < itemCount; x++ {
		if from.Place[x] == model.Inside(i) {
			return model.Item(x)
		}
	}
	return 0
}
