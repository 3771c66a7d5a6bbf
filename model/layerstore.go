package model

// This file is the actions of LayerStore.tla.

// storeStep is the expander of LayerStore.
type storeStep struct {
	m *LayerStore
	working[storeState]
	n storeState
}

func (t *storeStep) next() *storeState {
	t.n = t.s
	return &t.n
}

func (t *storeStep) done() { t.out = append(t.out, Step{To: t.m.canonical(&t.n), Action: t.action}) }

// at is the guard that nearly every action starts with.
func (t *storeStep) at(p Proc, pc uint8, guard string) bool { return !t.not(t.s.pc[p] == pc, guard) }

// Delete: p is asked to delete layer x.
func (t *storeStep) Delete(p Proc, x uint8) {
	if !t.at(p, storeIdle, `pc[p] = "idle"`) || t.not(t.s.record[x] == recordComplete, `record[x] = "complete"`) {
		return
	}
	n := t.next()
	n.arg[p], n.pc[p] = x, toDelete
	t.done()
}

// Create: p is asked to create layer x, and unpacks it without any store lock.
func (t *storeStep) Create(p Proc, x uint8) {
	if !t.at(p, storeIdle, `pc[p] = "idle"`) || t.not(t.s.place[x] == layerAbsent, `place[x] = "absent"`) {
		return
	}
	n := t.next()
	n.place[x], n.owner[x], n.arg[p], n.pc[p] = layerStaged, p, x, toCreate
	t.done()
}

// Load: p opens the store because something is flagged.
func (t *storeStep) Load(p Proc) {
	if !t.at(p, storeIdle, `pc[p] = "idle"`) || t.not(t.s.storeLock == None, `storeLock = None`) ||
		t.not(t.s.incomplete(), `Incomplete # {}`) {
		return
	}
	t.next().pc[p] = toLoad
	t.done()
}

func (t *storeStep) wantsStoreLock(p Proc) bool {
	pc := t.s.pc[p]
	return !t.not(pc == toDelete || pc == toCreate || pc == toLoad, `pc[p] \in {"toDelete", "toCreate", "toLoad"}`) &&
		!t.not(t.s.storeLock == None, `storeLock = None`)
}

// TakeStoreLock: p takes the store lock, and first finishes what others left
// flagged.
func (t *storeStep) TakeStoreLock(p Proc) {
	if !t.wantsStoreLock(p) {
		return
	}
	s, n := &t.s, t.next()
	n.storeLock = p
	switch {
	case s.incomplete():
		n.pc[p] = loading
	case s.pc[p] == toDelete && s.record[s.arg[p]] == recordComplete, s.pc[p] == toCreate:
		n.pc[p] = storeFlag
	default:
		n.pc[p] = storeUnlock
	}
	t.done()
}

// FinishFlagged: p moves a flagged layer aside and goes on to forget it.
func (t *storeStep) FinishFlagged(p Proc, x uint8) {
	s := &t.s
	if !t.at(p, loading, `pc[p] = "loading"`) || t.not(s.record[x] == recordIncomplete, `x \in Incomplete`) {
		return
	}
	n := t.next()
	for y := range n.owner {
		if n.owner[y] == p {
			n.owner[y] = None
		}
	}
	if s.place[x] == layerHome {
		n.place[x], n.owner[x] = layerStaged, p
	}
	n.arg[p], n.pc[p] = x, storeForget
	t.done()
}

// Flag: p saves the record with the incomplete flag.
func (t *storeStep) Flag(p Proc) { t.flag(p, recordIncomplete, recordIncomplete) }

// flag sets the record of a layer that is at home, or that is not.
func (t *storeStep) flag(p Proc, home, other uint8) {
	if !t.at(p, storeFlag, `pc[p] = "flag"`) {
		return
	}
	n, x := t.next(), t.s.arg[p]
	if t.s.place[x] == layerHome {
		n.record[x], n.pc[p] = home, storeStage
	} else {
		n.record[x], n.pc[p] = other, storeCommit
	}
	t.done()
}

// Stage: p moves the layer aside.
func (t *storeStep) Stage(p Proc) {
	if !t.at(p, storeStage, `pc[p] = "stage"`) {
		return
	}
	n, x := t.next(), t.s.arg[p]
	n.place[x], n.owner[x], n.pc[p] = layerStaged, p, storeForget
	t.done()
}

// Forget: p saves metadata without the record: where Delete takes effect.
func (t *storeStep) Forget(p Proc) { t.forget(p, storeUnlock) }

func (t *storeStep) forget(p Proc, pc uint8) {
	if !t.at(p, storeForget, `pc[p] = "forget"`) {
		return
	}
	n := t.next()
	n.record[t.s.arg[p]], n.pc[p] = recordNone, pc
	t.done()
}

// Commit: p puts the new layer in its place.
func (t *storeStep) Commit(p Proc) {
	if !t.at(p, storeCommit, `pc[p] = "commit"`) {
		return
	}
	n, x := t.next(), t.s.arg[p]
	n.place[x], n.owner[x], n.pc[p] = layerHome, None, storeComplete
	t.done()
}

// Complete: p takes the flag away: where Create takes effect.
func (t *storeStep) Complete(p Proc) {
	if !t.at(p, storeComplete, `pc[p] = "complete"`) {
		return
	}
	n := t.next()
	n.record[t.s.arg[p]], n.pc[p] = recordComplete, storeUnlock
	t.done()
}

// DropStoreLock: p drops the store lock.
func (t *storeStep) DropStoreLock(p Proc) {
	if !t.at(p, storeUnlock, `pc[p] = "unlock"`) {
		return
	}
	n := t.next()
	n.storeLock, n.pc[p] = None, storeRemove
	t.done()
}

// isStale is the guard of Recover.
func (s *storeState) isStale(x uint8) bool { return s.place[x] == layerStaged && s.owner[x] == None }

// Recover: p claims what a dead owner left, and needs no store lock for it.
func (t *storeStep) Recover(p Proc, x uint8) {
	if !t.at(p, storeIdle, `pc[p] = "idle"`) || t.not(t.s.isStale(x), `place[x] = "staged" /\ owner[x] = None`) {
		return
	}
	n := t.next()
	n.owner[x], n.arg[p], n.pc[p] = p, x, storeRemove
	t.done()
}

// Remove: p removes what is in its instance, in two steps, and reports success
// when nothing is left.
func (t *storeStep) Remove(p Proc) {
	if !t.at(p, storeRemove, `pc[p] = "remove"`) {
		return
	}
	s, n := &t.s, t.next()
	x := s.arg[p]
	mine := x != None && s.owner[x] == p
	if mine && has(s.whole, x) {
		n.whole &^= 1 << x
		t.done()
		return
	}
	if mine {
		n.place[x], n.owner[x] = layerGone, None
	}
	if x != None && s.record[x] == recordNone {
		n.deleted |= 1 << x
	}
	n.arg[p], n.pc[p] = None, storeIdle
	t.done()
}

// Crash: p is killed.
func (t *storeStep) Crash(p Proc) {
	if t.not(t.s.crashes < t.m.maxCrashes, `crashes < MaxCrashes`) || t.not(t.s.pc[p] != storeIdle, `pc[p] # "idle"`) {
		return
	}
	n := t.next()
	n.crashes++
	if n.storeLock == p {
		n.storeLock = None
	}
	for x := range n.owner {
		if n.owner[x] == p {
			n.owner[x] = None
		}
	}
	n.arg[p], n.pc[p] = None, storeIdle
	t.done()
}
