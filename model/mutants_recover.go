package model

// This file is MutantsRecover.tla: deliberate faults in removal and recovery.

// RecovererTrustsLock, for StatName, without rule 2 in the recoverer.
func (t *step) RecovererTrustsLock(p Proc) {
	s := &t.s
	if t.not(statNamePCs.has(s.PC[p]), `pc[p] \in {"taken", "emptied"}`) {
		return
	}
	n := t.next()
	switch {
	case s.PC[p] == Taken && t.m.recoverer(p):
		n.PC[p] = Claimed
	case !s.isNamed(p, s.ID[p]):
		n.PC[p] = Closing
	case s.PC[p] == Emptied:
		n.PC[p] = Verified
	default:
		n.PC[p] = Named
	}
	t.done()
}

// NoLastRecheck, for StatName: no second look before the unlink.
func (t *step) NoLastRecheck(p Proc) {
	s := &t.s
	if t.not(statNamePCs.has(s.PC[p]), `pc[p] \in {"taken", "emptied"}`) {
		return
	}
	n := t.next()
	switch {
	case s.PC[p] == Emptied:
		n.PC[p] = Verified
	case !s.isNamed(p, s.ID[p]):
		n.PC[p] = Closing
	default:
		n.PC[p] = t.m.owns(p)
	}
	t.done()
}

// RemembersNumber, for OpenLock, without rule 7: p looks at the name, remembers
// the number (in arg), opens, locks, and compares the name with the number.
func (t *step) RemembersNumber(p Proc) {
	s := &t.s
	lock := s.Lock[s.ID[p]]
	if t.not(s.PC[p] == SawLock || s.PC[p] == Taken && s.Arg[p] != None,
		`pc[p] = "sawLock", or pc[p] = "taken" /\ arg[p] # None`) {
		return
	}
	n := t.next()
	switch {
	case s.PC[p] == SawLock && lock == None:
		n.PC[p] = Closing
	case s.PC[p] == SawLock && s.Arg[p] == None:
		n.Arg[p] = maxItems + lock
	case s.PC[p] == SawLock:
		n.Fd[p], n.PC[p] = lock, Opened
	case maxItems+lock == s.Arg[p]:
		n.PC[p] = Claimed
	default:
		n.PC[p] = Closing
	}
	t.done()
}

// NoRecheckAfterLock, for StatName beside it: the recheck that it has instead.
func (t *step) NoRecheckAfterLock(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == Emptied, `pc[p] = "emptied"`) {
		return
	}
	n := t.next()
	if s.isNamed(p, s.ID[p]) {
		n.PC[p] = Verified
	} else {
		n.PC[p] = Closing
	}
	t.done()
}

// OpenLockCreates, for OpenLock, without rule 3: O_CREAT.
func (t *step) OpenLockCreates(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == SawLock, `pc[p] = "sawLock"`) {
		return
	}
	n := t.next()
	if s.Lock[s.ID[p]] == None {
		n.Lock[s.ID[p]] = t.newInode()
	}
	n.Fd[p] = n.Lock[s.ID[p]]
	n.PC[p] = Opened
	t.done()
}

// LinkReplaces, for LinkLock, without rule 3's EEXIST: an adopter puts its own
// file in the place of whatever has the name.
func (t *step) LinkReplaces(p Proc, i ID) {
	s := &t.s
	if t.not(s.PC[p] == Locked, `pc[p] = "locked"`) {
		return
	}
	if t.m.creator(p) {
		if t.not(t.fresh(i), `Fresh(i)`) {
			return
		}
	} else if t.not(i == s.ID[p], `i = id[p]`) {
		return
	}
	n := t.next()
	n.Lock[i] = s.Fd[p]
	n.PC[p] = t.m.owns(p)
	n.ID[p] = i
	n.Used |= 1 << i
	t.done()
}

// AdoptsUnlocked, for OpenUnnamed: data without a lock file is removed at once,
// without any lock.
func (t *step) AdoptsUnlocked(p Proc) {
	s := &t.s
	if t.m.creator(p) {
		if t.not(s.PC[p] == Idle, `pc[p] = "idle"`) || t.not(t.anyFresh(), `~\A i \in Id : ~Fresh(i)`) {
			return
		}
		n := t.next()
		n.Fd[p] = t.newInode()
		n.PC[p] = Unnamed
		t.done()
		return
	}
	if t.not(s.PC[p] == SawData, `pc[p] = "sawData"`) {
		return
	}
	n := t.next()
	n.PC[p] = Claimed
	t.done()
}

// LockFileFirst, for OpenDirectory, without rule 4: the lock file goes first.
func (t *step) LockFileFirst(p Proc) {
	s := &t.s
	if t.not(t.startsRemoval(p), `p \in Creator /\ pc[p] = "live", or p \in Recoverer /\ pc[p] = "claimed"`) {
		return
	}
	n := t.next()
	n.Lock[s.ID[p]] = None
	if has(s.Data, s.ID[p]) {
		n.PC[p] = Emptying
	} else {
		n.PC[p] = Emptied
	}
	t.done()
}

// LockInsideData, for RemoveEntry: the lock file is inside the data directory,
// and goes when its turn comes.
func (t *step) LockInsideData(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == InsideTree, `pc[p] = "inside"`) {
		return
	}
	n := t.next()
	switch x := s.Arg[p]; {
	case s.Lock[s.ID[p]] != None:
		n.Lock[s.ID[p]] = None
	case s.Tree[x] > 0:
		n.Tree[x]--
	default:
		n.Place[x] = PlaceGone
		n.Arg[p] = None
		n.PC[p] = Emptying
	}
	t.done()
}

// UnlockThenUnlink, for RemoveLock: unlock (close), then unlink.
func (t *step) UnlockThenUnlink(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == Verified, `pc[p] = "verified"`) {
		return
	}
	n := t.next()
	if s.Fd[p] != None {
		n.Holder = t.holderWithout(1 << p)
		n.Fd[p] = None
	} else {
		n.Lock[s.ID[p]] = None
		n.PC[p] = Closing
	}
	t.done()
}

// CrossesMounts, for OpenEntry, without rule 9: a mount is entered like any
// directory.
func (t *step) CrossesMounts(p Proc, x Item) {
	s := &t.s
	if t.not(s.PC[p] == Emptying, `pc[p] = "emptying"`) ||
		t.not(s.Place[x] == Inside(s.ID[p]), `x \in Entries(id[p])`) {
		return
	}
	n := t.next()
	n.Arg[p], n.PC[p] = x, InsideTree
	t.done()
}

// FailureUnlinks, for CallFails: a recoverer that cannot remove the data
// unlinks the lock file all the same.
func (t *step) FailureUnlinks(p Proc) {
	s := &t.s
	if t.not(t.m.recoverer(p), `p \in Recoverer`) || t.not(s.Failures < t.m.maxFailures, `failures < MaxFailures`) ||
		t.not(s.PC[p] == Emptying || s.PC[p] == InsideTree, `pc[p] \in {"emptying", "inside"}`) {
		return
	}
	n := t.next()
	n.Failures++
	n.PC[p] = Emptied
	t.done()
}

// UnknownIsNo, for CallFails, without rule 14: whose lock it is cannot be told, and
// that is taken for "not ours": p closes the file.
func (t *step) UnknownIsNo(p Proc) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) || t.not(s.Failures < t.m.maxFailures, `failures < MaxFailures`) ||
		t.not(s.PC[p] == Looking, `pc[p] = "looking"`) {
		return
	}
	n := t.next()
	n.Failures++
	n.PC[p] = Closing
	t.done()
}

// MissingDataFails, for OpenDirectory, without rule 12: data that is gone is a
// failure.
func (t *step) MissingDataFails(p Proc) {
	s := &t.s
	if t.not(t.startsRemoval(p), `p \in Creator /\ pc[p] = "live", or p \in Recoverer /\ pc[p] = "claimed"`) {
		return
	}
	n := t.next()
	if has(s.Data, s.ID[p]) {
		n.PC[p] = Emptying
	} else {
		n.PC[p] = Closing
	}
	t.done()
}

// ClosesAnyway, for LockHolder, without rule 15: p closes what it does not hold.
func (t *step) ClosesAnyway(p Proc) {
	if t.not(t.s.PC[p] == Looking, `pc[p] = "looking"`) {
		return
	}
	n := t.next()
	n.PC[p] = Closing
	t.done()
}

// InspectorCloses, for LockHolder, without rule 15 in the listing alone.
func (t *step) InspectorCloses(p Proc) {
	if has(t.m.inspector, p) {
		t.ClosesAnyway(p)
	} else {
		t.LockHolder(p)
	}
}

// InspectsYoung, for OpenToInspect: the listing opens a bare lock file that its
// owner is about to lock.
func (t *step) InspectsYoung(p Proc) {
	s := &t.s
	if t.not(has(t.m.inspector, p), `p \in Inspector`) ||
		t.not(s.PC[p] == SawLock || s.PC[p] == SawBoth, `pc[p] \in {"sawLock", "sawBoth"}`) {
		return
	}
	n := t.next()
	if lock := s.Lock[s.ID[p]]; lock != None && !t.isParked(p, s.ID[p]) {
		n.Fd[p], n.PC[p] = lock, Looking
	} else {
		n.PC[p] = Closing
	}
	t.stillParked(n, p)
	t.done()
}

// ClosesParked, for OpenLock: what is parked is closed at the next look.
func (t *step) ClosesParked(p Proc) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) || t.not(!has(t.m.inspector, p), `p \notin Inspector`) ||
		t.not(s.PC[p] == SawLock || s.PC[p] == SawBoth, `pc[p] \in {"sawLock", "sawBoth"}`) ||
		t.not(s.PC[p] != SawLock || !t.tooYoung(s.ID[p]), `pc[p] = "sawLock" => ~TooYoung(id[p])`) {
		return
	}
	n := t.next()
	for k := Inode(1); k <= t.m.inodes; k++ {
		if has(s.Parked[t.m.copyOf[p]], k-1) && t.m.heldByUs(s, p, k) {
			n.Holder[k] = None
		}
	}
	n.Parked[t.m.copyOf[p]] = 0
	if lock := s.Lock[s.ID[p]]; lock != None && !t.inTable(p, s.ID[p]) {
		n.Fd[p], n.PC[p] = lock, Opened
	} else {
		n.PC[p] = Closing
	}
	t.done()
}

// ListsOnChange, for List: recovery runs only while some creator is at work.
func (t *step) ListsOnChange(p Proc, i ID) {
	s := &t.s
	if t.not(t.m.recoverer(p), `p \in Recoverer`) || t.not(s.PC[p] == Idle, `pc[p] = "idle"`) ||
		t.not(!t.allIdle(t.m.allCreators), `~\A c \in Creator : pc[c] = "idle"`) ||
		t.not(!s.gone(i), `~Gone(i)`) {
		return
	}
	n := t.next()
	if s.Lock[i] != None {
		n.PC[p] = SawLock
	} else {
		n.PC[p] = SawData
	}
	n.ID[p] = i
	t.done()
}

// ListsLocksOnly, for List: recovery looks for lock files only.
func (t *step) ListsLocksOnly(p Proc, i ID) {
	s := &t.s
	if t.not(t.m.recoverer(p), `p \in Recoverer`) || t.not(s.PC[p] == Idle, `pc[p] = "idle"`) ||
		t.not(s.Lock[i] != None, `lock[i] # None`) {
		return
	}
	n := t.next()
	n.PC[p] = SawLock
	n.ID[p] = i
	t.done()
}

// FinishesCommit, for OpenEntry: a recoverer finishes the addition that a dead
// owner left, instead of removing it.
func (t *step) FinishesCommit(p Proc, x Item) { t.putsBack(p, x, t.m.addition) }

// PutsVictimBack, for OpenEntry: a recoverer puts a victim back that a dead
// owner staged.
func (t *step) PutsVictimBack(p Proc, x Item) { t.putsBack(p, x, t.m.victim) }

func (t *step) putsBack(p Proc, x Item, which uint8) {
	s := &t.s
	if t.not(s.PC[p] == Emptying, `pc[p] = "emptying"`) ||
		t.not(s.Place[x] == Inside(s.ID[p]), `x \in Entries(id[p])`) {
		return
	}
	n := t.next()
	if t.m.recoverer(p) && has(which, x) && s.Tree[x] == t.m.files {
		n.Place[x] = Home
	} else {
		n.Arg[p], n.PC[p] = x, InsideTree
	}
	t.done()
}
