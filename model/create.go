package model

// This file is Create.tla: the owner's half of the protocol, up to Close. What
// each action stands for is said in the module.

// fresh is Fresh (rule 6), or the mutant NotOnDisk or NoLockFile for it.
func (t *step) fresh(i ID) bool {
	switch {
	case t.m.notOnDisk:
		return t.s.gone(i)
	case t.m.noLockFile:
		return t.s.Lock[i] == None
	}
	return !has(t.s.Used, i)
}

func (t *step) anyFresh() bool {
	for i := ID(1); i <= t.m.ids; i++ {
		if t.fresh(i) {
			return true
		}
	}
	return false
}

// tooYoung is TooYoung: what the grace period of rule 13 stands for.
func (t *step) tooYoung(i ID) bool {
	if !t.m.mixedFleet {
		return false
	}
	for q := Proc(1); q <= t.m.creators; q++ {
		if t.s.ID[q] == i && t.mayBeYoung(q, i) {
			return true
		}
	}
	return false
}

func (t *step) mayBeYoung(q Proc, i ID) bool {
	if t.s.Lock[i] == None {
		return !t.m.Ours(q)
	}
	return beforeDataPCs.has(t.s.PC[q])
}

// youngData is YoungData: the grace for data without a lock file.
func (t *step) youngData(i ID) bool {
	if t.m.orphanGrace {
		for q := Proc(1); q <= t.m.creators; q++ {
			if t.s.ID[q] == i {
				return true
			}
		}
	}
	return t.tooYoung(i)
}

// looks is Looks (rule 15): upstream's code runs in p's own process.
func (m *Protocol) looks(p Proc) bool {
	return m.Ours(p) && m.mixedFleet && m.upstream&m.sameProcess[p] != 0
}

// letGo is LetGo: where p goes that has a lock file open and not its lock.
func (m *Protocol) letGo(p Proc) PC {
	if m.looks(p) {
		return Looking
	}
	return Closing
}

// OpenUnnamed: p opens a file that has no name.
func (t *step) OpenUnnamed(p Proc) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) || t.not(t.m.tmpFile, `TmpFile`) ||
		t.not(t.m.creator(p) && s.PC[p] == Idle && t.anyFresh() ||
			t.m.recoverer(p) && s.PC[p] == SawData && !t.youngData(s.ID[p]),
			`p \in Creator /\ pc[p] = "idle" /\ some id is fresh, or p \in Recoverer /\ pc[p] = "sawData" /\ ~YoungData(id[p])`) {
		return
	}
	n := t.next()
	n.Fd[p] = t.newInode()
	n.PC[p] = Unnamed
	t.done()
}

var takeLockPCs = places(Unnamed, Created, Opened)

// TakeLock: p tries the lock of the file it holds open, and never waits for it.
func (t *step) TakeLock(p Proc) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) ||
		t.not(takeLockPCs.has(s.PC[p]), `pc[p] \in {"unnamed", "created", "opened"}`) {
		return
	}
	n := t.next()
	switch {
	case !t.canLock(p):
		n.PC[p] = t.m.letGo(p)
	case s.PC[p] == Unnamed:
		n.Holder[s.Fd[p]], n.PC[p] = p, Locked
	default:
		n.Holder[s.Fd[p]], n.PC[p] = p, Taken
	}
	t.done()
}

// LinkLock: p gives its locked file the name lock-<i> (rule 1).
func (t *step) LinkLock(p Proc, i ID) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) || t.not(s.PC[p] == Locked, `pc[p] = "locked"`) {
		return
	}
	if t.m.creator(p) {
		if t.not(t.fresh(i), `Fresh(i)`) || t.not(s.Lock[i] == None, `lock[i] = None`) {
			return
		}
	} else if t.not(i == s.ID[p], `i = id[p]`) {
		return
	}
	n := t.next()
	switch {
	case s.Lock[i] != None:
		n.PC[p] = Closing
	case t.m.creator(p):
		n.Lock[i], n.PC[p] = s.Fd[p], Named
	default:
		n.Lock[i], n.PC[p] = s.Fd[p], Claimed
	}
	n.ID[p] = i
	n.Used |= 1 << i
	t.done()
}

// CreateLock: without unnamed files p creates lock-<i> before it can lock it.
func (t *step) CreateLock(p Proc, i ID) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) || t.not(!t.m.tmpFile, `~TmpFile`) {
		return
	}
	if t.m.creator(p) {
		if t.not(s.PC[p] == Idle, `pc[p] = "idle"`) || t.not(t.fresh(i), `Fresh(i)`) ||
			t.not(s.Lock[i] == None, `lock[i] = None`) {
			return
		}
	} else if t.not(s.PC[p] == SawData, `pc[p] = "sawData"`) ||
		t.not(!t.youngData(s.ID[p]), `~YoungData(id[p])`) || t.not(i == s.ID[p], `i = id[p]`) {
		return
	}
	n := t.next()
	if s.Lock[i] == None {
		n.Lock[i] = t.newInode()
		n.Fd[p] = n.Lock[i]
		n.PC[p] = Created
	} else {
		n.PC[p] = Closing
	}
	n.ID[p] = i
	n.Used |= 1 << i
	t.done()
}

// MakeData: p makes the data directory; from here on the instance is live.
func (t *step) MakeData(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == Named, `pc[p] = "named"`) {
		return
	}
	n := t.next()
	if has(s.Data, s.ID[p]) && t.m.Ours(p) {
		n.PC[p] = Emptied
	} else {
		n.Data |= 1 << s.ID[p]
		n.PC[p] = OK
	}
	t.done()
}

// Invoke: p's caller invokes StageDeletion, or Commit, on tree x.
func (t *step) Invoke(p Proc, x Item) {
	s := &t.s
	if t.not(s.PC[p] == Live, `pc[p] = "live"`) ||
		t.not(has(t.m.victim, x) && s.Place[x] == Home || has(t.m.addition, x) && s.Place[x] == Inside(s.ID[p]),
			`x \in Victim /\ place[x] = "home", or x \in Addition /\ place[x] = id[p]`) {
		return
	}
	n := t.next()
	n.Arg[p] = x
	n.PC[p] = Calling
	t.done()
}

// StageDeletion: p moves the victim aside.
func (t *step) StageDeletion(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == Calling, `pc[p] = "calling"`) || t.not(has(t.m.victim, s.Arg[p]), `arg[p] \in Victim`) {
		return
	}
	n := t.next()
	switch {
	case !has(s.Data, s.ID[p]):
		n.PC[p] = Lost
	case s.Place[s.Arg[p]] == Home:
		n.Place[s.Arg[p]], n.PC[p] = Inside(s.ID[p]), OK
	default:
		n.PC[p] = Missing
	}
	t.done()
}

// StageAddition: p's caller fills a reserved path with a tree.
func (t *step) StageAddition(p Proc, x Item) {
	s := &t.s
	if t.not(s.PC[p] == Live, `pc[p] = "live"`) || t.not(has(s.Data, s.ID[p]), `id[p] \in data`) ||
		t.not(has(t.m.addition, x), `x \in Addition`) || t.not(s.Place[x] == Absent, `place[x] = "absent"`) {
		return
	}
	n := t.next()
	n.Place[x] = Inside(s.ID[p])
	n.Tree[x] = t.m.files
	t.done()
}

// Commit: p moves the added tree to its destination.
func (t *step) Commit(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == Calling, `pc[p] = "calling"`) || t.not(has(t.m.addition, s.Arg[p]), `arg[p] \in Addition`) {
		return
	}
	n := t.next()
	if s.Place[s.Arg[p]] == Inside(s.ID[p]) {
		n.Place[s.Arg[p]], n.PC[p] = Home, OK
	} else {
		n.PC[p] = Lost
	}
	t.done()
}

// Return: Create, StageDeletion or Commit responds.
func (t *step) Return(p Proc) {
	s := &t.s
	if t.not(replyPCs.has(s.PC[p]), `pc[p] \in ReplyPCs`) {
		return
	}
	n := t.next()
	n.Arg[p] = None
	n.PC[p] = Live
	t.done()
}
