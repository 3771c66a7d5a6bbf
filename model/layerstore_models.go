package model

// This file is MCLayerStore.tla and the properties of LayerStore.tla.

// RemovesUnderLock, for Forget: the layer is removed before the store lock is
// dropped.
func (t *storeStep) RemovesUnderLock(p Proc) { t.forget(p, storeRemove) }

// RecoversUnderLock, for TakeStoreLock: recovery runs under the store lock.
func (t *storeStep) RecoversUnderLock(p Proc) {
	if !t.wantsStoreLock(p) {
		return
	}
	s, stale := &t.s, false
	for x := uint8(1); x <= t.m.layers; x++ {
		if s.isStale(x) {
			stale = true
			n := t.next()
			n.storeLock, n.owner[x], n.arg[p], n.pc[p] = p, p, x, storeRemove
			t.done()
		}
	}
	if stale {
		return
	}
	n := t.next()
	n.storeLock = p
	switch {
	case s.incomplete():
		n.pc[p] = loading
	case s.pc[p] == toLoad:
		n.pc[p] = storeUnlock
	default:
		n.pc[p] = storeFlag
	}
	t.done()
}

// NoFlag, for Flag: no incomplete flag before the layer is moved.
func (t *storeStep) NoFlag(p Proc) {
	record := t.s.record[t.s.arg[p]]
	t.flag(p, record, record)
}

// ForgetsFirst, for Flag: the record goes before the layer is moved.
func (t *storeStep) ForgetsFirst(p Proc) { t.flag(p, recordNone, recordIncomplete) }

// CompletesFirst, for Flag: a new layer is recorded complete at once.
func (t *storeStep) CompletesFirst(p Proc) { t.flag(p, recordIncomplete, recordComplete) }

// RemovesInPlace, for Stage: the layer is removed where it is.
func (t *storeStep) RemovesInPlace(p Proc) {
	if !t.at(p, storeStage, `pc[p] = "stage"`) {
		return
	}
	n, x := t.next(), t.s.arg[p]
	if has(n.whole, x) {
		n.whole &^= 1 << x
	} else {
		n.place[x], n.pc[p] = layerGone, storeForget
	}
	t.done()
}

// LeavesFlagged, for FinishFlagged: what is flagged is left as it is.
func (t *storeStep) LeavesFlagged(p Proc, x uint8) {
	if !t.at(p, loading, `pc[p] = "loading"`) || t.not(t.s.record[x] == recordIncomplete, `x \in Incomplete`) {
		return
	}
	t.next().pc[p] = storeUnlock
	t.done()
}

// SwallowsNotFound, for Stage: any failing rename is taken for "already gone".
func (t *storeStep) SwallowsNotFound(p Proc) {
	t.Stage(p)
	if t.s.pc[p] == storeStage {
		t.next().pc[p] = storeForget
		t.done()
	}
}

// TypeOK of LayerStore.tla: everything else fits by construction.
func (m *LayerStore) TypeOK(s *storeState) bool {
	ok := s.crashes <= m.maxCrashes && s.storeLock <= m.procs && s.whole>>1>>m.layers == 0 && s.deleted>>1>>m.layers == 0
	for x := uint8(1); x <= m.layers; x++ {
		ok = ok && s.record[x] <= recordComplete && s.owner[x] <= m.procs
	}
	for p := Proc(1); p <= m.procs; p++ {
		ok = ok && s.pc[p] <= storeRemove && s.arg[p] <= m.layers
	}
	return ok
}

// all says whether something holds of every layer.
func (m *LayerStore) all(holds func(x uint8) bool) bool {
	for x := uint8(1); x <= m.layers; x++ {
		if !holds(x) {
			return false
		}
	}
	return true
}

// none says whether something holds of no process.
func (m *LayerStore) none(holds func(p Proc) bool) bool {
	for p := Proc(1); p <= m.procs; p++ {
		if holds(p) {
			return false
		}
	}
	return true
}

// RemovesUnlocked: nothing is removed by a process that holds the store lock.
func (m *LayerStore) RemovesUnlocked(s *storeState) bool {
	return m.none(func(p Proc) bool { return s.pc[p] == storeRemove && s.storeLock == p })
}

// DeletedStaysGone: a layer that was reported deleted is out of reach, for good.
func (m *LayerStore) DeletedStaysGone(s *storeState) bool {
	return m.all(func(x uint8) bool {
		return !has(s.deleted, x) || s.place[x] != layerHome && s.record[x] == recordNone
	})
}

// WholeOrFlagged: a layer whose record is complete is there, and whole.
func (m *LayerStore) WholeOrFlagged(s *storeState) bool {
	return m.all(func(x uint8) bool {
		return s.record[x] != recordComplete || s.place[x] == layerHome && has(s.whole, x)
	})
}

// NoLeak: a layer that is there has a record.
func (m *LayerStore) NoLeak(s *storeState) bool {
	return m.all(func(x uint8) bool { return s.place[x] != layerHome || s.record[x] != recordNone })
}

// HomeWhole: reachable layers are whole.
func (m *LayerStore) HomeWhole(s *storeState) bool {
	return m.all(func(x uint8) bool { return s.place[x] != layerHome || has(s.whole, x) })
}

// NoFinishedByOther, NoRemovalWhileLocked, NoDeletion and NoCreation are probes.
func (m *LayerStore) NoFinishedByOther(s *storeState) bool {
	return m.none(func(p Proc) bool { return s.pc[p] == storeForget && s.crashes > 0 && s.place[s.arg[p]] == layerGone })
}

// NoRemovalWhileLocked: see NoFinishedByOther.
func (m *LayerStore) NoRemovalWhileLocked(s *storeState) bool {
	return m.none(func(p Proc) bool { return s.pc[p] == storeRemove && s.storeLock != None && s.arg[p] != None })
}

// NoDeletion: see NoFinishedByOther.
func (m *LayerStore) NoDeletion(s *storeState) bool { return s.deleted == 0 }

// NoCreation: see NoFinishedByOther.
func (m *LayerStore) NoCreation(s *storeState) bool {
	return m.all(func(x uint8) bool { return has(m.old, x) || s.record[x] != recordComplete })
}
