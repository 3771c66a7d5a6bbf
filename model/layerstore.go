package model

// This file is the actions of StoreSteps.tla.

// storeStep is the expander of LayerStore.
type storeStep struct {
	m *LayerStore
	working[storeState]
}

// at is the guard that nearly every action starts with.
func (t *storeStep) at(p Proc, pc uint8, guard string) bool { return !t.not(t.s.pc[p] == pc, guard) }

// asked is Asked: p is asked to do something about x.
func (t *storeStep) asked(p Proc, op, x uint8) *storeState {
	if !t.at(p, storeIdle, `pc[p] = "idle"`) {
		return nil
	}
	n := t.next()
	n.op[p], n.arg[p], n.pc[p] = op, x, storeWaiting
	return n
}

// Delete: p is asked to delete layer x.
func (t *storeStep) Delete(p Proc, x uint8) {
	if t.not(t.s.record[x] == recordComplete, `record[x] = "complete"`) || t.asked(p, askedDelete, x) == nil {
		return
	}
	t.done()
}

// Create: p is asked to create layer x, and unpacks it without any store lock.
func (t *storeStep) Create(p Proc, x uint8) {
	if t.not(t.s.place[x] == layerAbsent, `place[x] = "absent"`) || t.asked(p, askedCreate, x) == nil {
		return
	}
	t.n.place[x], t.n.owner[x] = layerStaged, p
	t.done()
}

// Load: p comes to finish what is flagged.
func (t *storeStep) Load(p Proc) { t.comes(p, askedLoad) }

// Update: p comes to write something else, and finishes it on the way.
func (t *storeStep) Update(p Proc) { t.comes(p, askedUpdate) }

func (t *storeStep) comes(p Proc, op uint8) {
	if t.not(t.s.storeLock == None, `storeLock = None`) || t.not(t.m.incomplete(&t.s) != 0, `Incomplete # {}`) ||
		t.asked(p, op, None) == nil {
		return
	}
	t.done()
}

func (t *storeStep) canTakeLock(p Proc) bool {
	return t.at(p, storeWaiting, `pc[p] = "waiting"`) && !t.not(t.s.storeLock == None, `storeLock = None`)
}

// TakeStoreLock: p takes the store lock.
func (t *storeStep) TakeStoreLock(p Proc) {
	if !t.canTakeLock(p) {
		return
	}
	n := t.next()
	n.storeLock = p
	t.m.goOn(n, p)
	t.done()
}

// meets is the guard of what p does with a flagged layer that it left not yet.
func (t *storeStep) meets(p Proc, x uint8) bool {
	return t.at(p, storeLoading, `pc[p] = "loading"`) &&
		!t.not(t.s.record[x] == recordIncomplete && !has(t.s.tried[p], x), `x \in Incomplete \ tried[p]`)
}

// FinishFlagged: p takes a flagged layer in hand that nobody removes where it is.
func (t *storeStep) FinishFlagged(p Proc, x uint8) {
	if !t.meets(p, x) || t.not(t.s.claim[x] == None, `claim[x] = None`) {
		return
	}
	n := t.next()
	n.at[p], n.pc[p] = x, storeStage
	if x == n.arg[p] {
		n.op[p], n.arg[p] = askedUpdate, None // somebody else did what it was to do
	}
	t.done()
}

// Flag: p saves the record with the incomplete flag.
func (t *storeStep) Flag(p Proc) { t.flag(p, recordIncomplete, recordIncomplete) }

// flag sets the record of a layer to be deleted, or to be created.
func (t *storeStep) flag(p Proc, deleted, created uint8) {
	if !t.at(p, storeFlag, `pc[p] = "flag"`) {
		return
	}
	n, x := t.next(), t.s.at[p]
	if t.s.op[p] == askedDelete {
		n.record[x], n.pc[p] = deleted, storeStage
	} else {
		n.record[x], n.pc[p] = created, storeCommit
	}
	t.done()
}

// Stage: p moves what is at the layer's path aside, if anything is.
func (t *storeStep) Stage(p Proc) {
	if !t.at(p, storeStage, `pc[p] = "stage"`) {
		return
	}
	t.staged(p)
	t.done()
}

func (t *storeStep) staged(p Proc) *storeState {
	n, set := t.next(), t.m.there(&t.s, t.s.at[p])
	n.put(set, layerStaged)
	n.hold(set, p)
	n.pc[p] = storeForget
	return n
}

// Forget: p saves metadata without the record.
func (t *storeStep) Forget(p Proc) {
	if t.s.own(p) {
		t.save(p, storeForget, `pc[p] = "forget"`, recordNone, storeUnlock)
	} else {
		t.save(p, storeForget, `pc[p] = "forget"`, recordNone, storeRelease)
	}
}

// save is a save of the record of the layer in hand.
func (t *storeStep) save(p Proc, at uint8, guard string, record, pc uint8) {
	if !t.at(p, at, guard) {
		return
	}
	n := t.next()
	n.record[t.s.at[p]], n.pc[p] = record, pc
	t.done()
}

// Release: p gives up the instance with what others left, for recovery.
func (t *storeStep) Release(p Proc) {
	if !t.at(p, storeRelease, `pc[p] = "release"`) {
		return
	}
	n := t.next()
	for y := range n.owner {
		if n.owner[y] == p && uint8(y) != n.arg[p] {
			n.owner[y] = None
		}
	}
	n.pc[p] = storeUnlock
	t.done()
}

// Commit: p puts the new layer in its place.
func (t *storeStep) Commit(p Proc) {
	if !t.at(p, storeCommit, `pc[p] = "commit"`) {
		return
	}
	n, x := t.next(), t.s.at[p]
	n.place[x], n.owner[x], n.pc[p] = layerHome, None, storeComplete
	t.done()
}

// Complete: p takes the flag away: where Create takes effect.
func (t *storeStep) Complete(p Proc) {
	t.save(p, storeComplete, `pc[p] = "complete"`, recordComplete, storeUnlock)
}

// DropStoreLock: p drops the store lock.
func (t *storeStep) DropStoreLock(p Proc) {
	if !t.at(p, storeUnlock, `pc[p] = "unlock"`) {
		return
	}
	t.next().storeLock = None
	t.unlocked(p)
	t.done()
}

// unlocked is where p goes on when it holds the store lock no more.
func (t *storeStep) unlocked(p Proc) {
	x := t.s.at[p]
	t.n.pc[p] = storeRemove
	if x != None && t.s.claim[x] == p && t.s.record[x] == recordIncomplete && t.m.there(&t.s, x) != 0 {
		t.n.pc[p] = storeRemoveHere
	}
}

// isStale is the guard of Recover.
func (s *storeState) isStale(x uint8) bool { return s.place[x] == layerStaged && s.owner[x] == None }

// Recover: p takes over what a dead owner left, and needs no store lock for it.
func (t *storeStep) Recover(p Proc, x uint8) {
	if !t.at(p, storeIdle, `pc[p] = "idle"`) || t.not(t.s.isStale(x), `place[x] = "staged" /\ owner[x] = None`) {
		return
	}
	n := t.next()
	n.owner[x], n.op[p], n.arg[p], n.at[p], n.pc[p] = p, askedRecover, x, x, storeRemove
	t.done()
}

// Remove: p removes what is in its instance, in two steps, and reports success
// when nothing is left.
func (t *storeStep) Remove(p Proc) {
	t.remove(p, func(x uint8) bool { return t.s.record[x] == recordNone })
}

func (t *storeStep) remove(p Proc, isDeleted func(x uint8) bool) {
	if !t.at(p, storeRemove, `pc[p] = "remove"`) {
		return
	}
	s, n := &t.s, t.next()
	x := s.at[p]
	mine := x != None && s.owner[x] == p
	if mine && has(s.whole, x) {
		n.whole &^= 1 << x
		t.done()
		return
	}
	if mine {
		n.place[x], n.owner[x] = layerGone, None
	}
	if s.op[p] == askedDelete && x == s.arg[p] && isDeleted(x) {
		n.deleted |= 1 << x
	}
	n.end(p)
	t.done()
}
