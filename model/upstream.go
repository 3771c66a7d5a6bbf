package model

// This file is Upstream.tla: the same life as released upstream.

// UpstreamCreateLock: p creates lock-<i> and closes it again.
func (t *step) UpstreamCreateLock(p Proc, i ID) {
	s := &t.s
	if t.not(has(t.m.upstream, p) && t.m.creator(p), `p \in Upstream \cap Creator`) ||
		t.not(s.PC[p] == Idle, `pc[p] = "idle"`) || t.not(t.fresh(i), `Fresh(i)`) ||
		t.not(s.Lock[i] == None, `lock[i] = None`) {
		return
	}
	n := t.next()
	n.Lock[i] = t.newInode()
	n.ID[p] = i
	n.Used |= 1 << i
	n.PC[p] = UpstreamNamed
	t.done()
}

var upstreamOpenPCs = places(UpstreamNamed, SawLock, SawData, SawBoth)

// UpstreamOpenLock: p opens lock-<i> by name, and makes it if it is gone.
func (t *step) UpstreamOpenLock(p Proc) {
	s := &t.s
	if t.not(has(t.m.upstream, p), `p \in Upstream`) ||
		t.not(upstreamOpenPCs.has(s.PC[p]), `pc[p] \in {"upstreamNamed", "sawLock", "sawData", "sawBoth"}`) {
		return
	}
	t.openByName(p, t.inTable(p, s.ID[p]))
}

// openByName opens the lock file of p's id, unless it is refused.
func (t *step) openByName(p Proc, refused bool) {
	n := t.next()
	if i := t.s.ID[p]; refused {
		n.PC[p] = Closing
	} else {
		if t.s.Lock[i] == None {
			n.Lock[i] = t.newInode()
		}
		n.Fd[p] = n.Lock[i]
		n.PC[p] = UpstreamOpened
	}
	t.done()
}

// owns is Owns.
func (m *Protocol) owns(p Proc) PC {
	if m.creator(p) {
		return Named
	}
	return Claimed
}

// UpstreamTakeLock: p tries the lock.
func (t *step) UpstreamTakeLock(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == UpstreamOpened, `pc[p] = "upstreamOpened"`) {
		return
	}
	n := t.next()
	switch {
	case !t.canLock(p):
		n.PC[p] = Closing
	case has(t.m.repaired, p):
		n.Holder[s.Fd[p]], n.PC[p] = p, UpstreamTaken
	default:
		n.Holder[s.Fd[p]], n.PC[p] = p, t.m.owns(p)
	}
	t.done()
}

// UpstreamStatName: the recheck that upstream lacks.
func (t *step) UpstreamStatName(p Proc) {
	s := &t.s
	if t.not(s.PC[p] == UpstreamTaken, `pc[p] = "upstreamTaken"`) {
		return
	}
	n := t.next()
	if s.isNamed(p, s.ID[p]) {
		n.PC[p] = t.m.owns(p)
	} else {
		n.PC[p] = Closing
	}
	t.done()
}

// UpstreamRemoveLock: p removes the lock file by name.
func (t *step) UpstreamRemoveLock(p Proc) {
	s := &t.s
	if t.not(has(t.m.upstream, p), `p \in Upstream`) || t.not(s.PC[p] == Emptied, `pc[p] = "emptied"`) {
		return
	}
	n := t.next()
	n.Lock[s.ID[p]] = None
	n.PC[p] = Closing
	t.done()
}

var upstreamFailingPCs = places(Named, Emptying, InsideTree)

// UpstreamCallFails: a failing call. A creator keeps its lock for as long as it
// lives.
func (t *step) UpstreamCallFails(p Proc) {
	s := &t.s
	if t.not(has(t.m.upstream, p), `p \in Upstream`) || t.not(s.Failures < t.m.maxFailures, `failures < MaxFailures`) ||
		t.not(s.PC[p] == Calling || s.PC[p] == UpstreamOpened || upstreamFailingPCs.has(s.PC[p]),
			`p makes a system call next`) {
		return
	}
	n := t.next()
	n.Failures++
	switch {
	case s.PC[p] == Calling:
		n.PC[p] = Failed
	case s.PC[p] == UpstreamOpened:
		n.PC[p] = Closing
	case t.m.creator(p):
		n.PC[p] = Stuck
	default:
		n.PC[p] = Emptied
	}
	t.done()
}
