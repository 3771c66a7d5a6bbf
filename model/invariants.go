package model

// This file holds the properties of LockThenData.tla, Upstream.tla and MC.tla.

func (m *Protocol) typeOK(s *State, pcs pcSet) bool {
	ok := s.Data>>1>>m.ids == 0 && s.Used>>1>>m.ids == 0 && s.Crashes <= m.maxCrashes && s.Failures <= m.maxFailures
	for i := ID(1); i <= maxIDs; i++ {
		ok = ok && s.Lock[i] <= m.inodes && (i <= m.ids || s.Lock[i] == None)
	}
	for x := Item(1); x <= m.items; x++ {
		ok = ok && s.Place[x] < inside+m.ids && s.Tree[x] <= m.files
	}
	for n := Inode(1); n <= maxInodes; n++ {
		ok = ok && s.Holder[n] <= m.procs && (n <= m.inodes || s.Holder[n] == None && !has(s.Parked[1]|s.Parked[2], n-1))
	}
	for p := Proc(1); p <= m.procs; p++ {
		ok = ok && s.Fd[p] <= m.inodes && pcs.has(s.PC[p]) && s.ID[p] <= m.ids && s.Arg[p] <= m.items
	}
	return ok
}

// TypeOK: every variable has a value of its type.
func (m *Protocol) TypeOK(s *State) bool { return m.typeOK(s, allPCs) }

// MixedTypeOK is TypeOK for models with upstream processes.
func (m *Protocol) MixedTypeOK(s *State) bool { return m.typeOK(s, allPCs|upstreamPCs) }

func (m *Protocol) live(s *State, p Proc) bool { return m.creator(p) && openPCs.has(s.PC[p]) }

var actingPCs = openPCs | places(Named, Claimed, Emptying, InsideTree, Emptied, Verified)

func (m *Protocol) acting(s *State, p Proc) bool {
	if openPCs.has(s.PC[p]) {
		return m.creator(p)
	}
	return actingPCs.has(s.PC[p])
}

func (m *Protocol) keepsData(s *State, p Proc) bool {
	if !has(s.Data, s.ID[p]) {
		return false
	}
	for x := Item(1); x <= m.items; x++ {
		if s.Place[x] == Inside(s.ID[p]) && s.Tree[x] != m.files {
			return false
		}
	}
	return true
}

// LiveKept: a live instance keeps its data, and all of every tree in it.
func (m *Protocol) LiveKept(s *State) bool {
	for p := Proc(1); p <= m.creators; p++ {
		if m.live(s, p) && !m.keepsData(s, p) {
			return false
		}
	}
	return true
}

// OurLiveKept: what mixed fleets owe to our own instances.
func (m *Protocol) OurLiveKept(s *State) bool {
	for p := Proc(1); p <= m.creators; p++ {
		if m.live(s, p) && m.Ours(p) && !m.keepsData(s, p) {
			return false
		}
	}
	return true
}

// LiveIsLocked: our live instance has its lock file, and its owner holds that
// lock.
func (m *Protocol) LiveIsLocked(s *State) bool {
	for p := Proc(1); p <= m.creators; p++ {
		if m.live(s, p) && m.Ours(p) && !(s.isNamed(p, s.ID[p]) && s.Holder[s.Fd[p]] == p) {
			return false
		}
	}
	return true
}

// LockKept: a live owner keeps its lock, whoever else closes the file (rule 15).
func (m *Protocol) LockKept(s *State) bool {
	for p := Proc(1); p <= m.creators; p++ {
		if m.live(s, p) && s.Holder[s.Fd[p]] != p {
			return false
		}
	}
	return true
}

// OneOwner: at most one process acts on an id.
func (m *Protocol) OneOwner(s *State) bool {
	for p := Proc(1); p <= m.procs; p++ {
		for q := Proc(1); q < p; q++ {
			if s.ID[p] == s.ID[q] && m.acting(s, p) && m.acting(s, q) {
				return false
			}
		}
	}
	return true
}

// DataHasLock: data is never without its lock file.
func (m *Protocol) DataHasLock(s *State) bool {
	for i := ID(1); i <= m.ids; i++ {
		if has(s.Data, i) && s.Lock[i] == None {
			return false
		}
	}
	return true
}

// ReachableWhole: what a caller can reach by its path is whole.
func (m *Protocol) ReachableWhole(s *State) bool {
	for x := Item(1); x <= m.items; x++ {
		if (s.Place[x] == Home || has(m.mounted, x)) && s.Tree[x] != m.files {
			return false
		}
	}
	return true
}

// RepliesTrue: what a caller is told about its victim is true.
func (m *Protocol) RepliesTrue(s *State) bool {
	for p := Proc(1); p <= m.creators; p++ {
		if has(m.victim, s.Arg[p]) && (s.PC[p] == OK || s.PC[p] == Missing) && s.Place[s.Arg[p]] == Home {
			return false
		}
	}
	return true
}

// NeverLost: our own directory is never lost.
func (m *Protocol) NeverLost(s *State) bool {
	for p := Proc(1); p <= m.procs; p++ {
		if s.PC[p] == Lost {
			return false
		}
	}
	return true
}

// UnlinkedByHolder: a lock file is unlinked only by the holder of its lock.
func (m *Protocol) UnlinkedByHolder(_ *Action, s, n *State) bool {
	for i := ID(1); i <= m.ids; i++ {
		if s.Lock[i] == None || n.Lock[i] == s.Lock[i] {
			continue
		}
		byHolder := false
		for p := Proc(1); p <= m.procs; p++ {
			byHolder = byHolder || s.Fd[p] == s.Lock[i] && s.Holder[s.Fd[p]] == p && n.PC[p] != s.PC[p]
		}
		if !byHolder {
			return false
		}
	}
	return true
}

// LookingChangesNothing: who only looks changes neither the disk nor anybody's
// lock.
func (m *Protocol) LookingChangesNothing(_ *Action, s, n *State) bool {
	if s.Crashes != n.Crashes || s.Lock == n.Lock && s.Data == n.Data && s.Place == n.Place && s.Tree == n.Tree && s.Holder == n.Holder {
		return true
	}
	for p := Proc(1); p <= m.procs; p++ {
		if has(m.inspector, p) && s.PC[p] != n.PC[p] {
			return false
		}
	}
	return true
}
