package model

// This file is MCUpstream.tla: upstream where one process creates and
// recovers.

// CreatesLockOpen, for UpstreamCreateLock: the first half of it.
func (t *step) CreatesLockOpen(p Proc, i ID) {
	s := &t.s
	if t.not(has(t.m.upstream, p) && t.m.creator(p), `p \in Upstream \cap Creator`) ||
		t.not(s.PC[p] == Idle, `pc[p] = "idle"`) || t.not(t.fresh(i), `Fresh(i)`) ||
		t.not(s.Lock[i] == None, `lock[i] = None`) {
		return
	}
	n := t.next()
	n.Lock[i] = t.newInode()
	n.Fd[p] = n.Lock[i]
	n.ID[p] = i
	n.Used |= 1 << i
	n.PC[p] = UpstreamNamed
	t.done()
}

// tabled is Tabled: a path is in the table once it is opened to be locked.
func (t *step) tabled(p Proc) bool {
	s := &t.s
	for q := Proc(1); q <= t.m.procs; q++ {
		if q != p && t.m.shares(p, q) && s.ID[q] == s.ID[p] && s.Fd[q] != None && s.PC[q] != UpstreamNamed {
			return true
		}
	}
	return false
}

// ClosesThenOpens, for UpstreamOpenLock beside it: first a creator closes the
// file, and drops the lock that another goroutine of its process has on it.
func (t *step) ClosesThenOpens(p Proc) {
	s := &t.s
	if t.not(has(t.m.upstream, p), `p \in Upstream`) ||
		t.not(upstreamOpenPCs.has(s.PC[p]), `pc[p] \in {"upstreamNamed", "sawLock", "sawData", "sawBoth"}`) {
		return
	}
	if s.PC[p] == UpstreamNamed && s.Fd[p] != None {
		n := t.next()
		n.Holder = t.holderWithout(1 << p)
		n.Fd[p] = None
		t.done()
		return
	}
	t.openByName(p, t.tabled(p) || s.Lock[s.ID[p]] == None && t.m.recovererCreates && t.m.creator(p))
}
