package model

// This file is the properties of LayerStore.tla.

// TypeOK of StoreState.tla: everything else fits by construction.
func (m *LayerStore) TypeOK(s *storeState) bool {
	layers := uint8(2<<m.layers - 2)
	ok := s.crashes <= m.maxCrashes && s.failures <= m.maxFailures && s.storeLock <= m.procs && (s.whole|s.deleted)&^layers == 0
	for x := uint8(1); x <= m.layers; x++ {
		ok = ok && s.record[x] <= recordComplete && s.owner[x] <= m.procs && s.claim[x] <= m.procs
	}
	for p := Proc(1); p <= m.procs; p++ {
		ok = ok && s.op[p] <= askedRecover && s.arg[p] <= m.layers && s.at[p] <= m.layers && s.tried[p]&^layers == 0
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
	return m.none(func(p Proc) bool { return (s.pc[p] == storeRemove || s.pc[p] == storeRemoveHere) && s.storeLock == p })
}

// NobodyPays: nobody removes what another process left, unless it came for that.
func (m *LayerStore) NobodyPays(s *storeState) bool {
	return m.none(func(p Proc) bool {
		removing := s.pc[p] == storeRemoveHere || s.pc[p] == storeRemove && s.at[p] != None && s.owner[s.at[p]] == p
		return removing && s.at[p] != s.arg[p] && s.op[p] != askedLoad && s.op[p] != askedRecover
	})
}

// HereIsClaimed: where it is, a layer is removed by the process that claimed it.
func (m *LayerStore) HereIsClaimed(s *storeState) bool {
	return m.none(func(p Proc) bool {
		return s.pc[p] == storeRemoveHere && (s.claim[s.at[p]] != p || s.record[s.at[p]] != recordIncomplete)
	})
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

// HomeWhole: as long as no call fails, what is at home is whole.
func (m *LayerStore) HomeWhole(s *storeState) bool {
	return m.all(func(x uint8) bool { return s.failures > 0 || s.place[x] != layerHome || has(s.whole, x) })
}

// seen is Seen: what callers see of a layer, as in TempDir.tla.
func (m *LayerStore) seen(s *storeState, x uint8) ItemState {
	undecided := func(p Proc) bool {
		return (s.pc[p] == storeStage || s.pc[p] == storeUnflag) && s.arg[p] == x && s.at[p] == x
	}
	switch {
	case s.record[x] == recordComplete, !m.none(undecided):
		return ItemLive
	case s.place[x] == layerAbsent:
		return ItemAbsent
	case s.place[x] == layerGone:
		return ItemGone
	}
	return ItemStaged
}

// LayersAreTrees: a layer is to its callers what a tree is in TempDir.tla.
func (m *LayerStore) LayersAreTrees(_ *Action, s, n *storeState) bool {
	return m.all(func(x uint8) bool {
		from, to := m.seen(s, x), m.seen(n, x)
		some := func(holds func(p Proc) bool) bool { return !m.none(holds) }
		for action, step := range itemSteps {
			if step != [2]ItemState{from, to} {
				continue
			}
			switch ItemAction(action) {
			case ItemCommit: // by its creator
				return some(func(p Proc) bool { return s.storeLock == p && s.op[p] == askedCreate && s.arg[p] == x })
			case ItemReap: // by who has it
				return some(func(p Proc) bool { return s.at[p] == x && (s.owner[x] == p || s.claim[x] == p) })
			}
			return true
		}
		return from == to
	})
}
