package model

// This file is the actions of StoreInPlace.tla and LayerStore.tla: removal of a
// layer where it is, failing calls, and crashes.

// fails is Fails: a call fails that p makes at pc.
func (t *storeStep) fails(p Proc, pc uint8, guard string) bool {
	return t.at(p, pc, guard) && !t.not(t.s.failures < t.m.maxFailures, `failures < MaxFailures`)
}

// leaves is a failure after which p goes on at pc; left: it does not come back
// to the layer in hand.
func (t *storeStep) leaves(p Proc, pc uint8, left bool) *storeState {
	n := t.next()
	n.failures++
	n.pc[p] = pc
	if left {
		n.tried[p] |= 1 << n.at[p]
	}
	return n
}

// cannotStage is the guard of StageFails and StageMeetsMount.
func (t *storeStep) cannotStage(p Proc) bool {
	return t.fails(p, storeStage, `pc[p] = "stage"`) && !t.not(t.m.there(&t.s, t.s.at[p]) != 0, `There(at[p]) # {}`)
}

// StageFails: p could not move the layer aside.
func (t *storeStep) StageFails(p Proc) {
	if !t.cannotStage(p) {
		return
	}
	if t.s.own(p) {
		t.leaves(p, storeClaim, false)
	} else {
		t.leaves(p, storeRelease, true)
	}
	t.done()
}

// StageMeetsMount: p could not, for the layer is a mount point.
func (t *storeStep) StageMeetsMount(p Proc) {
	if !t.cannotStage(p) || t.not(t.s.own(p), `Own(p)`) {
		return
	}
	if t.s.at[p] == t.s.arg[p] {
		t.leaves(p, storeUnflag, false)
	} else {
		t.leaves(p, storeUnlock, true)
	}
	t.done()
}

// Unflag: p takes the flag back.
func (t *storeStep) Unflag(p Proc) {
	t.save(p, storeUnflag, `pc[p] = "unflag"`, recordComplete, storeUnlock)
}

// Claim: p claims the layer, under the store lock.
func (t *storeStep) Claim(p Proc) {
	if !t.at(p, storeClaim, `pc[p] = "claim"`) {
		return
	}
	n := t.next()
	n.claim[n.at[p]], n.pc[p] = p, storeUnlock
	t.done()
}

// RemoveHere: p removes what is at the layer's path, in two steps.
func (t *storeStep) RemoveHere(p Proc) {
	if t.at(p, storeRemoveHere, `pc[p] = "removeHere"`) {
		t.removeHere(p, storeAgain)
	}
}

func (t *storeStep) removeHere(p Proc, then uint8) {
	n, set := t.next(), t.m.there(&t.s, t.s.at[p])
	if set&n.whole != 0 {
		n.whole &^= set
	} else {
		n.put(set, layerGone)
		n.pc[p] = then
	}
	t.done()
}

// TakeStoreLockAgain: p takes the store lock again.
func (t *storeStep) TakeStoreLockAgain(p Proc) {
	if !t.at(p, storeAgain, `pc[p] = "again"`) || t.not(t.s.storeLock == None, `storeLock = None`) {
		return
	}
	n := t.next()
	n.storeLock, n.pc[p] = p, storeForgetHere
	t.done()
}

// ForgetHere: p saves metadata without the record.
func (t *storeStep) ForgetHere(p Proc) {
	t.save(p, storeForgetHere, `pc[p] = "forgetHere"`, recordNone, storeUnlock)
}

// LeaveClaimed: what is flagged, somebody removes where it is.
func (t *storeStep) LeaveClaimed(p Proc) {
	if t.meetsClaims(p) {
		n := t.next()
		t.m.begin(n, p)
		t.done()
	}
}

func (t *storeStep) meetsClaims(p Proc) bool {
	left := t.m.incomplete(&t.s) &^ t.s.tried[p]
	claimed := func(x uint8) bool { return !has(left, x) || t.s.claim[x] != None }
	return t.at(p, storeLoading, `pc[p] = "loading"`) &&
		!t.not(t.m.all(claimed), `\A x \in Incomplete \ tried[p] : claim[x] # None`)
}

// passOver leaves a flagged layer, and goes on.
func (t *storeStep) passOver(p Proc, x, failures uint8) {
	n := t.next()
	n.failures += failures
	n.tried[p] |= 1 << x
	t.m.goOn(n, p)
	t.done()
}

// ClaimUnknown: p cannot find out whether somebody removes it.
func (t *storeStep) ClaimUnknown(p Proc, x uint8) {
	if !t.meets(p, x) || t.not(t.s.failures < t.m.maxFailures, `failures < MaxFailures`) {
		return
	}
	t.passOver(p, x, 1)
}

// LockFails: p does not get the store lock.
func (t *storeStep) LockFails(p Proc) {
	if t.fails(p, storeWaiting, `pc[p] = "waiting"`) {
		n := t.leaves(p, storeRemove, false)
		n.at[p] = n.arg[p]
		t.done()
	}
}

// LockAgainFails: p does not get the store lock again.
func (t *storeStep) LockAgainFails(p Proc) {
	if t.fails(p, storeAgain, `pc[p] = "again"`) {
		t.leaves(p, storeRemove, true)
		t.done()
	}
}

// saveFails is a failing save: it had no effect, or had one.
func (t *storeStep) saveFails(p Proc, at uint8, guard string, record, pc uint8, left bool) {
	if !t.fails(p, at, guard) {
		return
	}
	n := t.leaves(p, pc, left)
	t.done()
	n.record[n.at[p]] = record // and was another
	t.done()
}

// FlagFails, UnflagFails, ForgetFails, ForgetHereFails and CompleteFails: p's
// save fails.
func (t *storeStep) FlagFails(p Proc) {
	t.saveFails(p, storeFlag, `pc[p] = "flag"`, recordIncomplete, storeUnlock, false)
}

// UnflagFails: see FlagFails.
func (t *storeStep) UnflagFails(p Proc) {
	t.saveFails(p, storeUnflag, `pc[p] = "unflag"`, recordComplete, storeUnlock, false)
}

// ForgetFails: see FlagFails.
func (t *storeStep) ForgetFails(p Proc) {
	pc := uint8(storeRelease)
	if t.s.own(p) {
		pc = storeUnlock
	}
	t.saveFails(p, storeForget, `pc[p] = "forget"`, recordNone, pc, true)
}

// ForgetHereFails: see FlagFails.
func (t *storeStep) ForgetHereFails(p Proc) {
	t.saveFails(p, storeForgetHere, `pc[p] = "forgetHere"`, recordNone, storeUnlock, true)
}

// CompleteFails: see FlagFails.
func (t *storeStep) CompleteFails(p Proc) {
	t.saveFails(p, storeComplete, `pc[p] = "complete"`, recordComplete, storeUnlock, false)
}

// CommitFails: the new layer does not get to its place, or may not be there for
// good.
func (t *storeStep) CommitFails(p Proc) {
	if !t.fails(p, storeCommit, `pc[p] = "commit"`) {
		return
	}
	n := t.leaves(p, storeUnlock, false)
	t.done()
	n.place[n.at[p]], n.owner[n.at[p]] = layerHome, None
	t.done()
}

// ClaimFails: p gets no claim.
func (t *storeStep) ClaimFails(p Proc) {
	if t.fails(p, storeClaim, `pc[p] = "claim"`) {
		t.leaves(p, storeUnlock, true)
		t.done()
	}
}

// RemoveFails: something in an instance cannot be removed.
func (t *storeStep) RemoveFails(p Proc) { t.removeFails(p, false) }

func (t *storeStep) removeFails(p Proc, keeps bool) {
	x := t.s.at[p]
	if !t.fails(p, storeRemove, `pc[p] = "remove"`) || t.not(x != None && t.s.owner[x] == p, `owner[at[p]] = p`) {
		return
	}
	n := t.leaves(p, storeRemove, false)
	if !keeps {
		letGo(&n.owner, p)
	}
	n.end(p)
	t.done()
}

// RemoveHereFails: something at the layer's path cannot be removed.
func (t *storeStep) RemoveHereFails(p Proc) {
	if t.fails(p, storeRemoveHere, `pc[p] = "removeHere"`) {
		t.leaves(p, storeRemove, true)
		t.done()
	}
}

// Crash: p is killed.
func (t *storeStep) Crash(p Proc) {
	if t.mayCrash(p) {
		n := t.next()
		n.crashes++
		n.dies(p)
		t.done()
	}
}

func (t *storeStep) mayCrash(p Proc) bool {
	return !t.not(t.s.crashes < t.m.maxCrashes, `crashes < MaxCrashes`) && !t.not(t.s.pc[p] != storeIdle, `pc[p] # "idle"`)
}

// dies takes from p what a process has: its locks go, the disk stays.
func (s *storeState) dies(p Proc) {
	if s.storeLock == p {
		s.storeLock = None
	}
	letGo(&s.owner, p)
	letGo(&s.claim, p)
	s.op[p], s.arg[p], s.at[p], s.tried[p], s.pc[p] = None, None, None, 0, storeIdle
}
