package model

import "slices"

// This file is MCReports.tla, and the mutants and probes of MCLayerStore.tla.

// RemovesUnderLock, for Forget: the layer is removed before the store lock is
// dropped.
func (t *storeStep) RemovesUnderLock(p Proc) {
	t.save(p, storeForget, `pc[p] = "forget"`, recordNone, storeRemove)
}

// RecoversUnderLock, for TakeStoreLock: recovery runs under the store lock.
func (t *storeStep) RecoversUnderLock(p Proc) {
	if !t.canTakeLock(p) {
		return
	}
	stale := false
	for x := uint8(1); x <= t.m.layers; x++ {
		if t.s.isStale(x) {
			stale = true
			n := t.next()
			n.storeLock, n.owner[x], n.at[p], n.pc[p] = p, p, x, storeRemove
			t.done()
		}
	}
	if !stale {
		t.TakeStoreLock(p)
	}
}

// NoFlag, for Flag: no incomplete flag before the layer is moved.
func (t *storeStep) NoFlag(p Proc) {
	record := t.s.record[t.s.at[p]]
	t.flag(p, record, record)
}

// ForgetsFirst, for Flag: the record goes before the layer is moved.
func (t *storeStep) ForgetsFirst(p Proc) { t.flag(p, recordNone, recordIncomplete) }

// CompletesFirst, for Flag: a new layer is recorded complete at once.
func (t *storeStep) CompletesFirst(p Proc) { t.flag(p, recordIncomplete, recordComplete) }

// RemovesInPlace, for Stage: the layer is removed where it is.
func (t *storeStep) RemovesInPlace(p Proc) {
	if t.at(p, storeStage, `pc[p] = "stage"`) {
		t.removeHere(p, storeForget)
	}
}

// LeavesFlagged, for FinishFlagged: what is flagged is left as it is.
func (t *storeStep) LeavesFlagged(p Proc, x uint8) {
	if t.meets(p, x) && !t.not(t.s.claim[x] == None, `claim[x] = None`) {
		t.passOver(p, x, 0)
	}
}

// SwallowsNotFound, for Stage: any failing rename is taken for "already gone".
func (t *storeStep) SwallowsNotFound(p Proc) {
	if !t.at(p, storeStage, `pc[p] = "stage"`) {
		return
	}
	t.next().pc[p] = storeForget
	t.done()
	if t.m.there(&t.s, t.s.at[p]) != 0 {
		t.Stage(p)
	}
}

// PaysForOthers, for Release: what others left is removed by whoever moved it.
func (t *storeStep) PaysForOthers(p Proc) {
	if t.at(p, storeRelease, `pc[p] = "release"`) {
		t.next().pc[p] = storeUnlock
		t.done()
	}
}

// NoClaim, for Claim: a layer is removed where it is, and nobody can know.
func (t *storeStep) NoClaim(p Proc) {
	if t.at(p, storeClaim, `pc[p] = "claim"`) {
		n := t.next()
		n.pc[p], n.storeLock = storeRemoveHere, None
		t.done()
	}
}

// IgnoresClaim, for LeaveClaimed: it is finished all the same.
func (t *storeStep) IgnoresClaim(p Proc) {
	if !t.meetsClaims(p) {
		return
	}
	for x := uint8(1); x <= t.m.layers; x++ {
		if t.s.record[x] == recordIncomplete && !has(t.s.tried[p], x) {
			n := t.next()
			n.at[p], n.pc[p] = x, storeStage
			t.done()
		}
	}
}

// UnknownIsFree, for ClaimUnknown: what cannot be found out is taken for "no".
func (t *storeStep) UnknownIsFree(p Proc, x uint8) {
	if t.meets(p, x) && !t.not(t.s.failures < t.m.maxFailures, `failures < MaxFailures`) {
		n := t.leaves(p, storeStage, false)
		n.at[p] = x
		t.done()
	}
}

// ForgetsBeforeHere, for Claim: the record goes before what is at home.
func (t *storeStep) ForgetsBeforeHere(p Proc) {
	if t.at(p, storeClaim, `pc[p] = "claim"`) {
		n := t.next()
		n.claim[n.at[p]], n.record[n.at[p]], n.pc[p] = p, recordNone, storeUnlock
		t.done()
	}
}

// FlagsAnyway, for FlagFails: the layer is moved all the same.
func (t *storeStep) FlagsAnyway(p Proc) {
	pc := uint8(storeCommit)
	if t.s.op[p] == askedDelete {
		pc = storeStage
	}
	t.saveFails(p, storeFlag, `pc[p] = "flag"`, recordIncomplete, pc, false)
}

// ForgetsUnmoved, for StageFails: what could not be moved is forgotten.
func (t *storeStep) ForgetsUnmoved(p Proc) {
	if t.cannotStage(p) {
		t.leaves(p, storeForget, false)
		t.done()
	}
}

// TakesFlagBack, for ClaimFails: the layer is put back, half removed or not.
func (t *storeStep) TakesFlagBack(p Proc) {
	if t.fails(p, storeClaim, `pc[p] = "claim"`) {
		n := t.leaves(p, storeUnlock, false)
		n.record[n.at[p]] = recordComplete
		t.done()
	}
}

// KeepsInstance, for RemoveFails: the instance is kept.
func (t *storeStep) KeepsInstance(p Proc) { t.removeFails(p, true) }

// ReportsUnforgotten, for Remove: a deletion is reported although its record was
// not forgotten.
func (t *storeStep) ReportsUnforgotten(p Proc) {
	t.remove(p, func(x uint8) bool { return t.s.place[x] != layerHome })
}

// storeProbes are the probes, by their names.
func (m *LayerStore) storeProbes() map[string]stepProperty[storeState] {
	always := func(*Action, *storeState, *storeState) bool { return true }
	return map[string]stepProperty[storeState]{
		"NoFinishedByOther": never("Forget", func(a *Action, s, _ *storeState) bool {
			return s.crashes > 0 && s.place[s.at[a.p]] == layerGone
		}),
		"NoRemovalWhileLocked": never("Remove", func(a *Action, s, _ *storeState) bool {
			return s.at[a.p] != None && s.storeLock != None && s.storeLock != a.p
		}),
		"NoDeletion": never("Remove", func(_ *Action, s, n *storeState) bool { return n.deleted != s.deleted }),
		"NoCreation": never("Complete", always),
		"NoHalfAtHome": never("FinishFlagged", func(a *Action, s, _ *storeState) bool {
			return s.place[a.i] == layerHome && !has(s.whole, a.i)
		}),
		"NoClaimMet": never("LeaveClaimed", func(a *Action, s, _ *storeState) bool { return m.incomplete(s)&^s.tried[a.p] != 0 }),
		"NoReleased": never("Release", func(a *Action, s, n *storeState) bool {
			return s.op[a.p] == askedUpdate && n.owner != s.owner
		}),
		"NoBusyId": never("LeaveClaimed", func(a *Action, s, n *storeState) bool {
			return s.op[a.p] == askedCreate && n.pc[a.p] == storeUnlock
		}),
		"NoFlagTakenBack": never("Unflag", always),
		"NoSharedFlag":    never("FlagAll", func(a *Action, s, _ *storeState) bool { return len(m.group(s, a.p)) > 1 }),
		"NoSharedSettle": never("SettleAll", func(a *Action, s, _ *storeState) bool {
			at := func(pc uint8) bool {
				return slices.ContainsFunc(m.group(s, a.p), func(q Proc) bool { return s.pc[q] == pc })
			}
			return at(storeForget) && at(storeUnflag)
		}),
		"NoDeletionHere": never("Remove", func(a *Action, s, n *storeState) bool {
			return n.deleted != s.deleted && s.claim[s.at[a.p]] == a.p && s.failures == 1
		}),
	}
}
