package model

// This file is Recover.tla: how a recoverer comes to hold what others left.

// inTable is InTable: the table of p's process has the path of id i.
func (t *step) inTable(p Proc, i ID) bool {
	if !t.m.posix(p) || t.m.lockKind != table && t.m.Ours(p) {
		return false
	}
	for q := Proc(1); q <= t.m.procs; q++ {
		if q != p && t.m.shares(p, q) && t.m.rootName[p] == t.m.rootName[q] &&
			t.s.ID[q] == i && t.s.Fd[q] != None {
			return true
		}
	}
	return false
}

// List: p finds id i in the root, by its lock file or by its data.
func (t *step) List(p Proc, i ID) {
	s := &t.s
	if t.not(t.m.recoverer(p), `p \in Recoverer`) || t.not(s.PC[p] == Idle, `pc[p] = "idle"`) ||
		t.not(!s.gone(i), `~Gone(i)`) {
		return
	}
	found := func(pc PC) {
		n := t.next()
		n.PC[p] = pc
		n.ID[p] = i
		t.done()
	}
	found(SawLock)
	if has(s.Data, i) && !has(t.m.inspector, p) {
		found(SawData)
	}
	if has(s.Data, i) && t.m.mixedFleet {
		found(SawBoth)
	}
}

// wholeList is WholeList: does a step of List that leads to pc miss nothing? For
// peers it is PeerWholeList.
func (m *Protocol) wholeList(s *State, i ID, pc PC) bool {
	switch {
	case m.scheme != noScheme:
		return pc != SawLock || !has(s.Data, i)
	case s.Lock[i] == None:
		return pc == SawData
	case has(s.Data, i) && m.mixedFleet:
		return pc == SawBoth
	}
	return pc == SawLock
}

// stillParked is StillParked: p's copy of the package closes what is parked and
// free by now.
func (t *step) stillParked(n *State, p Proc) {
	for k := Inode(1); k <= t.m.inodes; k++ {
		if t.s.Holder[k] == None {
			n.Parked[t.m.copyOf[p]] &^= 1 << (k - 1)
		}
	}
}

// isParked is IsParked: i's lock file is parked, and still locked by p's
// process.
func (t *step) isParked(p Proc, i ID) bool {
	n := t.s.Lock[i]
	return n != None && has(t.s.Parked[t.m.copyOf[p]], n-1) && t.m.heldByUs(&t.s, p, n)
}

// OpenLock: p opens the lock file, and never creates it (rule 3).
func (t *step) OpenLock(p Proc) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) || t.not(!has(t.m.inspector, p), `p \notin Inspector`) ||
		t.not(s.PC[p] == SawLock || s.PC[p] == SawBoth, `pc[p] \in {"sawLock", "sawBoth"}`) ||
		t.not(s.PC[p] != SawLock || !t.tooYoung(s.ID[p]), `pc[p] = "sawLock" => ~TooYoung(id[p])`) {
		return
	}
	n := t.next()
	if lock := s.Lock[s.ID[p]]; lock != None && !t.inTable(p, s.ID[p]) && !t.isParked(p, s.ID[p]) {
		n.Fd[p], n.PC[p] = lock, Opened
	} else {
		n.PC[p] = Closing
	}
	t.stillParked(n, p)
	t.done()
}

// OpenToInspect: p opens the lock file to see who has it, and takes no lock.
func (t *step) OpenToInspect(p Proc) {
	if t.not(t.s.PC[p] != SawLock || !t.tooYoung(t.s.ID[p]), `pc[p] = "sawLock" => ~TooYoung(id[p])`) {
		return
	}
	t.InspectsYoung(p)
}

// SkipYoung: p leaves a bare lock file, or data alone, while it is young.
func (t *step) SkipYoung(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == SawLock && t.tooYoung(s.ID[p]) || s.PC[p] == SawData && t.youngData(s.ID[p]),
		`pc[p] = "sawLock" /\ TooYoung(id[p]), or pc[p] = "sawData" /\ YoungData(id[p])`) {
		return
	}
	n := t.next()
	n.PC[p] = Closing
	t.done()
}
