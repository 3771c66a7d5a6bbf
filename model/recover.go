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
	if has(s.Data, i) {
		found(SawData)
		if t.m.mixedFleet {
			found(SawBoth)
		}
	}
}

// wholeList is WholeList: does a step of List that leads to pc miss nothing?
func (m *Protocol) wholeList(s *State, i ID, pc PC) bool {
	switch {
	case s.Lock[i] == None:
		return pc == SawData
	case has(s.Data, i) && m.mixedFleet:
		return pc == SawBoth
	}
	return pc == SawLock
}

// OpenLock: p opens the lock file, and never creates it (rule 3).
func (t *step) OpenLock(p Proc) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) ||
		t.not(s.PC[p] == SawLock || s.PC[p] == SawBoth, `pc[p] \in {"sawLock", "sawBoth"}`) ||
		t.not(s.PC[p] != SawLock || !t.tooYoung(s.ID[p]), `pc[p] = "sawLock" => ~TooYoung(id[p])`) {
		return
	}
	n := t.next()
	if lock := s.Lock[s.ID[p]]; lock != None && !t.inTable(p, s.ID[p]) {
		n.Fd[p], n.PC[p] = lock, Opened
	} else {
		n.PC[p] = Closing
	}
	t.done()
}

// SkipYoung: p leaves a bare lock file, or data alone, while it is young.
func (t *step) SkipYoung(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == SawLock || s.PC[p] == SawData, `pc[p] \in {"sawLock", "sawData"}`) ||
		t.not(t.tooYoung(s.ID[p]), `TooYoung(id[p])`) {
		return
	}
	n := t.next()
	n.PC[p] = Closing
	t.done()
}
