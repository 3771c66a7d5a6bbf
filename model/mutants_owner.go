package model

// This file is MutantsOwner.tla: deliberate faults in what an owner does. Each
// replaces the action that its model swaps for it.

// takeLock is what TakeLock and its mutants have in common.
func (t *step) takeLock(p Proc, taken PC) {
	n := t.next()
	if t.canLock(p) {
		n.Holder[t.s.Fd[p]], n.PC[p] = p, taken
	} else {
		n.PC[p] = Closing
	}
	t.done()
}

// NameBeforeLock, for TakeLock, without rule 1: the unnamed file gets its name
// first, and then its lock.
func (t *step) NameBeforeLock(p Proc) {
	s := &t.s
	if !t.m.creator(p) {
		if t.not(s.PC[p] == Unnamed || s.PC[p] == Opened, `pc[p] \in {"unnamed", "opened"}`) {
			return
		}
		if s.PC[p] == Unnamed {
			t.takeLock(p, Locked)
		} else {
			t.takeLock(p, Taken)
		}
		return
	}
	if t.not(s.PC[p] == Unnamed || s.PC[p] == Created, `pc[p] \in {"unnamed", "created"}`) {
		return
	}
	if s.PC[p] == Created {
		t.takeLock(p, Named)
		return
	}
	for i := ID(1); i <= t.m.ids; i++ {
		if t.not(t.fresh(i) && s.Lock[i] == None, `Fresh(i) /\ lock[i] = None`) {
			continue
		}
		n := t.next()
		n.Lock[i] = s.Fd[p]
		n.ID[p] = i
		n.Used |= 1 << i
		n.PC[p] = Created
		t.done()
	}
}

// CreatorTrustsLock, for StatName, without rule 2 in the creator.
func (t *step) CreatorTrustsLock(p Proc) {
	s := &t.s
	if t.not(statNamePCs.has(s.PC[p]), `pc[p] \in {"taken", "emptied"}`) {
		return
	}
	n := t.next()
	switch {
	case s.PC[p] == Taken && t.m.creator(p):
		n.PC[p] = Named
	case !s.isNamed(p, s.ID[p]):
		n.PC[p] = Closing
	case s.PC[p] == Emptied:
		n.PC[p] = Verified
	default:
		n.PC[p] = Claimed
	}
	t.done()
}

// DataBeforeLock, for LinkLock: the data directory is made first.
func (t *step) DataBeforeLock(p Proc, i ID) {
	s := &t.s
	if t.not(s.PC[p] == Locked, `pc[p] = "locked"`) || t.not(t.m.creator(p), `p \in Creator`) ||
		t.not(s.Lock[i] == None, `lock[i] = None`) {
		return
	}
	if s.ID[p] == None {
		if t.not(t.fresh(i), `Fresh(i)`) {
			return
		}
		n := t.next()
		n.Data |= 1 << i
		n.Used |= 1 << i
		n.ID[p] = i
		t.done()
		return
	}
	if t.not(i == s.ID[p], `i = id[p]`) {
		return
	}
	n := t.next()
	n.Lock[i] = s.Fd[p]
	n.PC[p] = OK
	t.done()
}

// OneNotFound, for StageDeletion, without rule 10: any ENOENT is "the victim is
// gone".
func (t *step) OneNotFound(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == Calling, `pc[p] = "calling"`) || t.not(has(t.m.victim, s.Arg[p]), `arg[p] \in Victim`) {
		return
	}
	n := t.next()
	if has(s.Data, s.ID[p]) && s.Place[s.Arg[p]] == Home {
		n.Place[s.Arg[p]], n.PC[p] = Inside(s.ID[p]), OK
	} else {
		n.PC[p] = Missing
	}
	t.done()
}

// MovesFileByFile, for StageDeletion: across file systems, copy and unlink.
func (t *step) MovesFileByFile(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == Calling, `pc[p] = "calling"`) || t.not(has(t.m.victim, s.Arg[p]), `arg[p] \in Victim`) ||
		t.not(has(s.Data, s.ID[p]), `id[p] \in data`) {
		return
	}
	n := t.next()
	if x := s.Arg[p]; s.Tree[x] > 0 {
		n.Tree[x]--
	} else {
		n.Place[x], n.PC[p] = Inside(s.ID[p]), OK
	}
	t.done()
}

// FailureKeepsLock, for CallFails, without rule 5.
func (t *step) FailureKeepsLock(p Proc) {
	s := &t.s
	if t.not(s.Failures < t.m.maxFailures, `failures < MaxFailures`) || t.not(t.m.creator(p), `p \in Creator`) ||
		t.not(s.PC[p] == Emptying || s.PC[p] == InsideTree, `pc[p] \in {"emptying", "inside"}`) {
		return
	}
	n := t.next()
	n.Failures++
	n.PC[p] = Stuck
	t.done()
}

// FailedCreateKeepsLock, for CallFails: a create on a full disk keeps its lock.
func (t *step) FailedCreateKeepsLock(p Proc) {
	s := &t.s
	if t.not(s.Failures < t.m.maxFailures, `failures < MaxFailures`) || t.not(s.PC[p] == Named, `pc[p] = "named"`) {
		return
	}
	n := t.next()
	n.Failures++
	n.PC[p] = Stuck
	t.done()
}

// ErrorIsAnswer, for CallFails, without rule 14: an error is taken for the answer
// that the victim is not there.
func (t *step) ErrorIsAnswer(p Proc) {
	s := &t.s
	if t.not(s.Failures < t.m.maxFailures, `failures < MaxFailures`) ||
		t.not(s.PC[p] == Calling, `pc[p] = "calling"`) || t.not(has(t.m.victim, s.Arg[p]), `arg[p] \in Victim`) {
		return
	}
	n := t.next()
	n.Failures++
	n.PC[p] = Missing
	t.done()
}
