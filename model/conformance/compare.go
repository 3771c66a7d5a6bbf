//go:build linux

package conformance

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/afterlock/afterlock/model"
)

// patience is how long a lock is waited for that nobody should have. Whoever looks at what is
// open here, as /proc/PID/fd tells, has a file open for some microseconds longer than we,
// and a process that is being started until it executes its program.
var patience = time.Second

// compare looks at the world and says how it differs from the state that the
// specification is in after a step from another.
func (s *scheduler) compare(from, to *model.State) error {
	s.counts.Compared++
	if err := s.world.observe(); err != nil {
		return err
	}
	if err := s.bindInodes(from, to); err != nil {
		return err
	}
	return s.differences(to)
}

// pass keeps track of files where nothing is compared.
func (s *scheduler) pass(from, to *model.State) error {
	s.world.stale = true
	return s.bindInodes(from, to)
}

// differences compares what was seen with a state.
func (s *scheduler) differences(to *model.State) error {
	var differences []string
	differs := func(format string, args ...any) { differences = append(differences, fmt.Sprintf(format, args...)) }
	w, o := s.world, &s.world.seen
	for i := 1; i <= len(s.config.ID); i++ {
		if want := w.inodes[to.Lock[i]].inode; o.lock[i] != want {
			differs("lock-%s is inode %d on disk, and file %d (inode %d) in the specification", s.config.ID[i-1], o.lock[i], to.Lock[i], want)
		}
		if want := to.Data>>i&1 != 0; (o.data[i] != 0) != want {
			differs("temp-dir-%s exists: %t on disk, %t in the specification", s.config.ID[i-1], o.data[i] != 0, want)
		}
		if before := w.before[i]; before != 0 && o.data[i] != 0 && o.data[i] != before {
			differs("temp-dir-%s is another directory than before: inode %d was %d", s.config.ID[i-1], o.data[i], before)
		}
	}
	for x := 1; x < itemCount && w.itemNames[x] != ""; x++ {
		if o.place[x] != to.Place[x] {
			differs("%s is %s on disk, and %s in the specification", w.itemNames[x], s.placeText(o.place[x]), s.placeText(to.Place[x]))
		}
		if o.files[x] != to.Tree[x] {
			differs("%s has %d files on disk, and %d in the specification", w.itemNames[x], o.files[x], to.Tree[x])
		}
	}
	w.before = o.data
	for _, name := range o.foreign {
		differs("%q is on disk, and not in the specification", name)
	}
	for _, p := range s.procs[1:] {
		s.comparePlace(p, to, differs)
	}
	if err := s.compareLocks(to, differs); err != nil {
		return err
	}
	if len(differences) > 0 {
		return fmt.Errorf("%s", strings.Join(differences, "; "))
	}
	return nil
}

// bindInodes makes new files stand for the numbers that the specification gave
// them, and gives up those that it has no use for any more.
func (s *scheduler) bindInodes(from, to *model.State) error {
	for n := model.Inode(1); int(n) < inodeCount; n++ {
		switch used := refersTo(to, n); {
		case !used:
			s.world.release(n)
		case !refersTo(from, n):
			path, err := s.pathOf(to, n)
			if err != nil {
				return err
			}
			if path == "" {
				continue // the comparison will find it missing
			}
			if err := s.world.watch(n, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// pathOf is a path to what the specification calls inode n: by a process that
// has it open, or by its name.
func (s *scheduler) pathOf(to *model.State, n model.Inode) (string, error) {
	for _, p := range s.procs[1:] {
		if to.Fd[p.number] == n && p.lock >= 0 {
			return p.lockPath(), nil
		}
	}
	if err := s.world.refresh(); err != nil {
		return "", err
	}
	for i := 1; i < idCount; i++ {
		if to.Lock[i] == n && s.world.seen.lock[i] != 0 {
			return s.world.rootPath(0) + "/" + lockPrefix + s.world.ids[i], nil
		}
	}
	return "", nil
}

// refersTo says whether a name or a descriptor refers to inode n.
func refersTo(s *model.State, n model.Inode) bool {
	return slices.Contains(s.Lock[:], n) || slices.Contains(s.Fd[:], n)
}

// compareLocks compares descriptors and locks.
func (s *scheduler) compareLocks(to *model.State, differs func(string, ...any)) error {
	for _, p := range s.procs[1:] {
		n := to.Fd[p.number]
		switch {
		case n == model.None && p.lock >= 0:
			differs("%s has a lock file open, and none in the specification", p.name)
		case n != model.None && p.lock < 0:
			differs("%s has no lock file open, and file %d in the specification", p.name, n)
		case n != model.None && p.inode != s.world.inodes[n].inode:
			differs("%s has inode %d open, and file %d (inode %d) in the specification", p.name, p.inode, n, s.world.inodes[n].inode)
		}
	}
	for n := model.Inode(1); int(n) < inodeCount; n++ {
		if s.world.inodes[n].inode == 0 {
			continue
		}
		held, by, err := s.world.locked(n)
		for begin := time.Now(); err == nil && held && to.Holder[n] == model.None && time.Since(begin) < patience; {
			time.Sleep(time.Millisecond) // nothing tells when it is let go
			held, by, err = s.world.locked(n)
		}
		if err != nil {
			return err
		}
		links, err := s.world.links(n)
		if err != nil {
			return err
		}
		if isNamed := named(to, n); isNamed && links != 1 || !isNamed && links != 0 {
			differs("file %d has %d names on disk, and is named in the specification: %t", n, links, isNamed)
		}
		holder := to.Holder[n]
		switch {
		case held && holder == model.None:
			differs("file %d is locked, and not in the specification", n)
		case !held && holder != model.None:
			differs("file %d is not locked, and by %s in the specification", n, s.procs[holder].name)
		case held && s.procs[holder].upstream:
			// It belongs to the process, and to all of its goroutines.
			if by != s.procs[holder].pid {
				differs("file %d is locked by process %d, and by %s (%d) in the specification", n, by, s.procs[holder].name, s.procs[holder].pid)
			}
		case held && by != -1:
			differs("file %d has a POSIX lock of process %d, and not that of %s", n, by, s.procs[holder].name)
		case held && s.procs[holder].lock >= 0:
			// It is the holder's own lock if nobody else's is in its way.
			other, _, err := lockedFor(s.procs[holder].lock)
			if err != nil {
				return err
			}
			if other {
				differs("file %d is locked, and not by %s as in the specification", n, s.procs[holder].name)
			}
		}
	}
	return nil
}

// comparePlace says whether the code stands where the specification does.
func (s *scheduler) comparePlace(p *process, to *model.State, differs func(string, ...any)) {
	pc, at := to.PC[p.number], p.at
	if want := p.needs(); !p.unjudged && !p.upstream && len(p.open) != want {
		differs("%s has %d descriptors open, and needs %d", p.name, len(p.open), want)
	}
	if at.Place != atCall {
		if id := to.ID[p.number]; at.Place != atIdle && p.owns != s.world.ids[id] && !p.unjudged && !p.upstream {
			differs("%s was told that its instance is %s, and it is %s in the specification", p.name, p.owns, s.world.ids[id])
		}
		if pc == model.Closing && to.Fd[p.number] == model.None {
			pc = model.Idle // only the response is left
		}
		var here model.PC
		switch at.Place {
		case atIdle:
			here = model.Idle
		case atLive:
			here = model.Live
		case atReply:
			here = at.Reply
		}
		if here != pc && !p.standsLike(to.PC[p.number]) {
			differs("%s is at %s, and at %q in the specification", p.name, at, model.PCName(to.PC[p.number]))
		}
		return
	}
	if p.upstream {
		s.compareUpstream(p, to, differs)
		return
	}
	want := s.standsAt(p, to)
	if at.Call == "Stat" && (want.Call == "StatName" || pc == model.Opened || pc == model.Looking) {
		return // joined
	}
	if want.Call != at.Call || want.Name != "" && want.Name != at.Name {
		differs("%s stands before %s, and should stand before %s (at %q in the specification)", p.name, at, want, model.PCName(pc))
	}
	if at.Call == "List" {
		item := p.of(at.Fd).Item
		if pc == model.InsideTree && item != to.Arg[p.number] || pc == model.Emptying && item != 0 {
			differs("%s is in %q, and at %q of %q in the specification", p.name, s.world.itemNames[item], model.PCName(pc), s.world.itemNames[to.Arg[p.number]%uint8(itemCount)])
		}
	}
	if at.Call == "Close" && at.Fd != p.lock {
		differs("%s is about to close another descriptor than its lock's", p.name)
	}
}

// standsLike says whether a process of upstream's that is between operations is
// where the specification says it is stuck: it has responded with an error, and keeps
// its lock for as long as it lives. A lost instance and a missing victim it does not
// tell apart.
func (p *process) standsLike(pc model.PC) bool {
	switch pc {
	case model.Stuck:
		return p.upstream && p.at.Place == atIdle && p.lock >= 0
	case model.Lost, model.Missing:
		return p.upstream && p.at.Place == atReply && p.at.Reply == model.Missing
	}
	return false
}

// needs is how many descriptors the process has to have open where it stands:
// its root's, its lock's, and those of the directories that it is removing.
func (p *process) needs() int {
	n := 1
	if p.lock >= 0 {
		n++
	}
	if p.at.Place == atCall && p.at.Call == "List" {
		n += int(p.of(p.at.Fd).Kind-dataKind) + 1
	}
	return n
}

// stands are the calls that processes stand before, and how what they are about is
// called.
var stands = map[model.PC]struct{ before, prefix string }{
	model.Looking:    {"LockHolder", ""},
	model.SawLock:    {"OpenLock", lockPrefix},
	model.SawBoth:    {"OpenLock", lockPrefix},
	model.Unnamed:    {"TakeLock", ""},
	model.Created:    {"TakeLock", ""},
	model.Opened:     {"TakeLock", ""},
	model.Locked:     {"LinkLock", lockPrefix},
	model.Taken:      {"StatName", lockPrefix},
	model.Emptied:    {"StatName", lockPrefix},
	model.Named:      {"MakeData", dataPrefix},
	model.Claimed:    {"OpenDirectory", dataPrefix},
	model.Emptying:   {"List", ""},
	model.InsideTree: {"List", ""},
	model.Verified:   {"RemoveLock", lockPrefix},
	model.Closing:    {"Close", ""},
}

// standsAt is the system call that the specification says p makes next.
func (s *scheduler) standsAt(p *process, to *model.State) stop {
	pc, id := to.PC[p.number], s.world.ids[to.ID[p.number]]
	switch x := to.Arg[p.number]; {
	case (pc == model.Idle || pc == model.SawData) && s.config.TmpFile: // of Idle, Create tries once more, with another id
		return stop{Call: "OpenUnnamed"}
	case pc == model.Idle:
		return stop{Call: "CreateLock"}
	case pc == model.SawData:
		return stop{Call: "CreateLock", Name: lockPrefix + id}
	case p.inspector && (pc == model.SawLock || pc == model.SawBoth):
		return stop{Call: "OpenToInspect", Name: lockPrefix + id}
	case pc == model.Locked && p.creator:
		return stop{Call: "LinkLock"}
	case pc == model.Calling && s.world.isVictim(x):
		return stop{Call: "StageDeletion", Name: s.world.home(x)}
	case pc == model.Calling:
		return stop{Call: "Commit"}
	}
	want, is := stands[pc]
	switch {
	case !is:
		return stop{Place: atLive}
	case want.prefix == "":
		return stop{Call: want.before}
	}
	return stop{Call: want.before, Name: want.prefix + id}
}

func (s *scheduler) placeText(p model.Place) string {
	switch p {
	case model.Absent:
		return "absent"
	case model.Home:
		return "at home"
	case model.PlaceGone:
		return "gone"
	}
	for i := range s.config.ID {
		if p == model.Inside(model.ID(i+1)) {
			return "in temp-dir-" + s.config.ID[i]
		}
	}
	return "somewhere"
}

// named says whether a lock file has a name.
func named(o *model.State, n model.Inode) bool { return slices.Contains(o.Lock[1:], n) }
