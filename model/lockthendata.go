package model

// This file is LockThenData.tla, without its properties: failing calls,
// crashes, mounts, and all steps put together.

func (m *Protocol) init() State {
	var s State
	m.kernelInit(&s)
	s.Used = m.orphan
	return s
}

// afterFailure is AfterFailure.
func afterFailure(pc PC) PC {
	switch pc {
	case Calling:
		return Failed
	case Named:
		return Emptied
	}
	return Closing
}

var failingPCs = places(Unnamed, Locked, Created, Taken, Named, Opened,
	Calling, Emptying, InsideTree, Emptied, Verified, Looking)

// CallFails: p's next call fails, and nothing on disk changes.
func (t *step) CallFails(p Proc) {
	s := &t.s
	if t.not(t.m.Ours(p), `Ours(p)`) || t.not(s.Failures < t.m.maxFailures, `failures < MaxFailures`) ||
		t.not(failingPCs.has(s.PC[p]) || t.startsRemoval(p), `p makes a system call next`) {
		return
	}
	n := t.next()
	n.Failures++
	n.PC[p] = afterFailure(s.PC[p])
	switch {
	case s.PC[p] == InsideTree:
		n.Arg[p] = None
	case s.PC[p] == Created || s.PC[p] == Opened:
		n.PC[p] = t.m.letGo(p)
	case s.PC[p] == Looking && t.m.mixedFleet: // unknown is not no
		t.park(n, p)
	}
	t.done()
}

// Crash: the operating system process of p is killed, with every goroutine in
// it.
func (t *step) Crash(p Proc) {
	s := &t.s
	together := t.m.sameProcess[p]
	if t.not(s.Crashes < t.m.maxCrashes, `crashes < MaxCrashes`) ||
		t.not(!t.allIdle(together), `~\A q \in S : pc[q] = "idle"`) {
		return
	}
	n := t.next()
	n.Crashes++
	n.Holder = t.holderWithout(together)
	for q := Proc(1); q <= t.m.procs; q++ {
		if has(together, q) {
			if t.m.looks(q) {
				n.Parked = [maxCopies + 1]uint8{}
			}
			n.Fd[q], n.ID[q], n.Arg[q], n.PC[q] = None, None, None, Idle
		}
	}
	t.done()
}

func (t *step) allIdle(set uint8) bool {
	for q := Proc(1); q <= t.m.procs; q++ {
		if has(set, q) && t.s.PC[q] != Idle {
			return false
		}
	}
	return true
}

// Mount: somebody mounts an outside tree inside an instance, or unmounts it.
func (t *step) Mount(x Item) {
	s := &t.s
	if t.not(s.Place[x] == Home && s.Data != 0 || s.Place[x] >= inside,
		`place[x] = "home" /\ data # {}, or place[x] \in Id`) {
		return
	}
	if s.Place[x] >= inside {
		n := t.next()
		n.Place[x] = Home
		t.done()
		return
	}
	for i := ID(1); i <= t.m.ids; i++ {
		if has(s.Data, i) {
			n := t.next()
			n.Place[x] = Inside(i)
			t.done()
		}
	}
}

// Sweep (MC.tla): a stranger removes the data directory of an instance.
func (t *step) Sweep(i ID) {
	s := &t.s
	if t.not(has(s.Data, i), `i \in data`) || t.not(s.noEntries(i), `Entries(i) = {}`) {
		return
	}
	n := t.next()
	n.Data &^= 1 << i
	t.done()
}

// TakesLockFile (MC.tla): a stranger takes the lock file of an instance.
func (t *step) TakesLockFile(i ID) {
	if t.not(t.s.Lock[i] != None, `lock[i] # None`) {
		return
	}
	n := t.next()
	n.Lock[i] = None
	t.done()
}
