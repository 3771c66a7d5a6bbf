package model

import "slices"

// This file is StoreGroup.tla and MCStoreGroup.tla: one save for several deletions of
// one handle.

// led is Led: where a deletion is whose steps are taken under the store lock.
var led = []uint8{storeFlag, storeStage, storeUnflag, storeForget, storeClaim, storeUnlock}

// group is Group: the deletions that p answers for.
func (m *LayerStore) group(s *storeState, p Proc) (all []Proc) {
	for q := Proc(1); q <= m.procs; q++ {
		if q == p || has(m.handle, q) && s.storeLock == p && slices.Contains(led, s.pc[q]) {
			all = append(all, q)
		}
	}
	return all
}

// leads is the guard of a leader: p has the store lock, and is at pc.
func (t *storeStep) leads(p Proc, pc uint8, guard string) bool {
	return t.at(p, pc, guard) && !t.not(t.s.storeLock == p, `storeLock = p`)
}

// Join: the leader p takes over q's deletion, of another layer than all that it has.
func (t *storeStep) Join(p, q Proc) { t.join(p, q, storeFlag, `pc[p] = "flag"`) }

func (t *storeStep) join(p, q Proc, pc uint8, guard string) {
	s, x := &t.s, t.s.arg[q]
	other := func(r Proc) bool { return s.arg[r] != x }
	if !t.leads(p, pc, guard) || t.not(has(t.m.handle, p) && has(t.m.handle, q), `{p, q} \subseteq Handle`) ||
		t.not(s.op[p] == askedDelete, `op[p] = "delete"`) || !t.at(q, storeWaiting, `pc[q] = "waiting"`) ||
		t.not(s.op[q] == askedDelete, `op[q] = "delete"`) || t.not(s.record[x] == recordComplete, `record[arg[q]] = "complete"`) ||
		t.not(all(t.m.group(s, p), other), `\A r \in Group(p) : arg[r] # arg[q]`) {
		return
	}
	n := t.next()
	n.at[q], n.pc[q] = x, pc
	t.done()
}

func all(procs []Proc, holds func(p Proc) bool) bool {
	return !slices.ContainsFunc(procs, func(p Proc) bool { return !holds(p) })
}

// FlagAll: Flag, for all of the group.
func (t *storeStep) FlagAll(p Proc) {
	if !t.leads(p, storeFlag, `pc[p] = "flag"`) {
		return
	}
	n, then := t.next(), uint8(storeCommit)
	if n.op[p] == askedDelete {
		then = storeStage
	}
	for _, q := range t.m.group(&t.s, p) {
		n.record[n.at[q]], n.pc[q] = recordIncomplete, then
	}
	t.done()
}

// FlagAllFails: see FlagFails.
func (t *storeStep) FlagAllFails(p Proc) {
	if !t.fails(p, storeFlag, `pc[p] = "flag"`) || t.not(t.s.storeLock == p, `storeLock = p`) {
		return
	}
	group := t.m.group(&t.s, p)
	n := t.leaves(p, storeUnlock, false)
	for _, q := range group {
		n.pc[q] = storeUnlock
	}
	t.done()
	for _, q := range group {
		n.record[n.at[q]] = recordIncomplete // and was another
	}
	t.done()
}

// settles is Settles, with the step begun: each layer of the group was moved aside,
// claimed, or refused.
func (t *storeStep) settles(p Proc) bool {
	s, open := &t.s, false
	settled := func(q Proc) bool {
		open = open || s.pc[q] != storeUnlock
		return s.pc[q] == storeForget || s.pc[q] == storeUnflag || s.pc[q] == storeUnlock
	}
	if t.not(s.storeLock == p, `storeLock = p`) ||
		t.not(all(t.m.group(s, p), settled), `\A q \in Group(p) : pc[q] \in {"forget", "unflag", "unlock"}`) ||
		t.not(open, `In(p, "forget") \cup In(p, "unflag") # {}`) {
		return false
	}
	n := t.next()
	for _, q := range t.m.group(s, p) {
		n.pc[q] = storeUnlock
		if s.pc[q] == storeForget && !s.own(q) {
			n.pc[q] = storeRelease
		}
	}
	return true
}

// settled sets the records to Settled.
func (t *storeStep) settled(p Proc) {
	for _, q := range t.m.group(&t.s, p) {
		switch t.s.pc[q] {
		case storeForget:
			t.n.record[t.s.at[q]] = recordNone
		case storeUnflag:
			t.n.record[t.s.at[q]] = recordComplete
		}
	}
}

// SettleAll: Forget and Unflag, for all of the group.
func (t *storeStep) SettleAll(p Proc) {
	if t.settles(p) {
		t.settled(p)
		t.done()
	}
}

// SettleAllFails: see ForgetFails.
func (t *storeStep) SettleAllFails(p Proc) {
	if t.not(t.s.failures < t.m.maxFailures, `failures < MaxFailures`) || !t.settles(p) {
		return
	}
	t.n.failures++
	for _, q := range t.m.group(&t.s, p) {
		if t.s.pc[q] == storeForget {
			t.n.tried[q] |= 1 << t.s.at[q]
		}
	}
	t.done()
	t.settled(p)
	t.done()
}

// DropAll: p drops the store lock, and everybody is told.
func (t *storeStep) DropAll(p Proc) {
	group := t.m.group(&t.s, p)
	if t.drops(p, group) {
		for _, q := range group {
			t.unlocked(q)
		}
		t.done()
	}
}

// drops is the guard of DropAll, with the step begun.
func (t *storeStep) drops(p Proc, group []Proc) bool {
	if t.not(t.s.storeLock == p, `storeLock = p`) ||
		t.not(all(group, func(q Proc) bool { return t.s.pc[q] == storeUnlock }), `\A q \in Group(p) : pc[q] = "unlock"`) {
		return false
	}
	t.next().storeLock = None
	return true
}

// CrashAll: p is killed, with all that are of one process with it.
func (t *storeStep) CrashAll(p Proc) {
	if !t.mayCrash(p) {
		return
	}
	n := t.next()
	n.crashes++
	for q := Proc(1); q <= t.m.procs; q++ {
		if q == p || has(t.m.handle, p) && has(t.m.handle, q) {
			n.dies(q)
		}
	}
	t.done()
}

// TellsEarly, for Stage: one that was taken over is told as soon as its layer is moved.
func (t *storeStep) TellsEarly(p Proc) {
	if t.at(p, storeStage, `pc[p] = "stage"`) {
		n := t.staged(p)
		if n.storeLock != p {
			n.deleted |= 1 << n.at[p]
		}
		t.done()
	}
}

// SettlesUnmoved, for SettleAll: the save does not wait until all are moved.
func (t *storeStep) SettlesUnmoved(p Proc) {
	if !t.leads(p, storeForget, `pc[p] = "forget"`) || t.not(t.s.own(p), `Own(p)`) {
		return
	}
	n := t.next()
	for _, q := range t.m.group(&t.s, p) {
		n.record[n.at[q]], n.pc[q] = recordNone, storeUnlock
	}
	t.done()
}

// JoinsLate, for Join: one joins whose flag the save did not have.
func (t *storeStep) JoinsLate(p, q Proc) { t.join(p, q, storeStage, `pc[p] = "stage"`) }

// DropsAlone, for DropAll: the leader goes on with its own, and tells nobody.
func (t *storeStep) DropsAlone(p Proc) {
	if t.drops(p, t.m.group(&t.s, p)) {
		t.n.pc[p] = storeRemove
		t.done()
	}
}

// EachIsLed: nobody is left in a group that nobody leads.
func (m *LayerStore) EachIsLed(s *storeState) bool {
	return s.storeLock != None || m.none(func(q Proc) bool { return slices.Contains(led, s.pc[q]) })
}
