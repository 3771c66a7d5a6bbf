package model

// This file is Remove.tla: removal of one instance, by its owner in Close or
// by a recoverer that claimed it.

// OpenDirectory: p opens the data directory.
func (t *step) OpenDirectory(p Proc) {
	s := &t.s
	if t.not(t.startsRemoval(p), `p \in Creator /\ pc[p] = "live", or p \in Recoverer /\ pc[p] = "claimed"`) {
		return
	}
	n := t.next()
	if has(s.Data, s.ID[p]) {
		n.PC[p] = Emptying
	} else {
		n.PC[p] = Emptied
	}
	t.done()
}

func (t *step) startsRemoval(p Proc) bool {
	return t.m.creator(p) && t.s.PC[p] == Live || t.m.recoverer(p) && t.s.PC[p] == Claimed
}

// OpenEntry: p enters a tree that it saw in the data directory, unless that is
// a mount (rule 9).
func (t *step) OpenEntry(p Proc, x Item) {
	s := &t.s
	if t.not(s.PC[p] == Emptying, `pc[p] = "emptying"`) ||
		t.not(s.Place[x] == Inside(s.ID[p]), `x \in Entries(id[p])`) {
		return
	}
	n := t.next()
	if has(t.m.mounted, x) {
		n.PC[p] = Closing
	} else {
		n.Arg[p], n.PC[p] = x, InsideTree
	}
	t.done()
}

// RemoveEntry: p unlinks one file of the tree it is in; when none is left, the
// tree.
func (t *step) RemoveEntry(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == InsideTree, `pc[p] = "inside"`) {
		return
	}
	n := t.next()
	if x := s.Arg[p]; s.Tree[x] > 0 {
		n.Tree[x]--
	} else {
		if s.Place[x] == Inside(s.ID[p]) {
			n.Place[x] = PlaceGone
		}
		n.Arg[p] = None
		n.PC[p] = Emptying
	}
	t.done()
}

// RemoveData: p removes the empty data directory.
func (t *step) RemoveData(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == Emptying || t.m.creator(p) && s.PC[p] == Live && t.m.Ours(p),
		`pc[p] = "emptying", or p \in Creator /\ pc[p] = "live" /\ Ours(p)`) ||
		t.not(s.noEntries(s.ID[p]), `Entries(id[p]) = {}`) {
		return
	}
	n := t.next()
	n.Data &^= 1 << s.ID[p]
	n.PC[p] = Emptied
	t.done()
}

var statNamePCs = places(Taken, Emptied)

// StatName: the recheck (rule 2).
func (t *step) StatName(p Proc) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) || t.not(statNamePCs.has(s.PC[p]), `pc[p] \in {"taken", "emptied"}`) {
		return
	}
	n := t.next()
	switch {
	case !s.isNamed(p, s.ID[p]):
		n.PC[p] = Closing
	case s.PC[p] == Emptied:
		n.PC[p] = Verified
	case t.m.creator(p):
		n.PC[p] = Named
	default:
		n.PC[p] = Claimed
	}
	t.done()
}

// RemoveLock: p removes the lock file.
func (t *step) RemoveLock(p Proc) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) || t.not(s.PC[p] == Verified, `pc[p] = "verified"`) {
		return
	}
	n := t.next()
	n.Lock[s.ID[p]] = None
	n.PC[p] = Closing
	t.done()
}

// Release: p's caller gives a live instance up.
func (t *step) Release(p Proc) {
	s := &t.s
	if t.not(t.m.mayRelease, `MayRelease`) || t.not(t.m.Ours(p), `Ours(p)`) ||
		t.not(t.m.creator(p), `p \in Creator`) || t.not(s.PC[p] == Live, `pc[p] = "live"`) {
		return
	}
	n := t.next()
	n.PC[p] = Closing
	t.done()
}

// park keeps p's descriptor open in its copy of the package.
func (t *step) park(n *State, p Proc) {
	n.Parked[t.m.copyOf[p]] |= 1 << (t.s.Fd[p] - 1)
	n.Fd[p] = None
}

// LockHolder: p asks whose the lock is that it does not hold (rule 15).
func (t *step) LockHolder(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == Looking, `pc[p] = "looking"`) {
		return
	}
	n := t.next()
	if t.m.mixedFleet && t.m.heldByUs(s, p, s.Fd[p]) {
		t.park(n, p)
	}
	n.PC[p] = Closing
	t.done()
}

// Close: p closes its descriptor, which drops the lock.
func (t *step) Close(p Proc) {
	if t.not(t.s.PC[p] == Closing, `pc[p] = "closing"`) {
		return
	}
	n := t.next()
	n.Holder = t.holderWithout(1 << p)
	n.Fd[p], n.ID[p], n.Arg[p] = None, None, None
	n.PC[p] = Idle
	t.done()
}
