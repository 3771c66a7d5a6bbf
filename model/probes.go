package model

// This file is Probes.tla: each says that something interesting never happens,
// and must be refuted.

func (m *Protocol) noProc(found func(p Proc) bool) bool {
	for p := Proc(1); p <= m.procs; p++ {
		if found(p) {
			return false
		}
	}
	return true
}

// NoGhostLock: no recoverer has the lock of a file that has no name any more.
func (m *Protocol) NoGhostLock(s *State) bool {
	return m.noProc(func(p Proc) bool {
		if s.PC[p] != Taken || s.Holder[s.Fd[p]] != p {
			return false
		}
		for i := ID(1); i <= m.ids; i++ {
			if s.Lock[i] == s.Fd[p] {
				return false
			}
		}
		return true
	})
}

// NoCreatorGhostLock: no creator without unnamed files meets one.
func (m *Protocol) NoCreatorGhostLock(s *State) bool {
	return m.noProc(func(p Proc) bool {
		return m.creator(p) && s.PC[p] == Taken && s.Holder[s.Fd[p]] == p && !s.isNamed(p, s.ID[p])
	})
}

// NoStolenBirth: no creator without unnamed files finds its new lock file
// locked.
func (m *Protocol) NoStolenBirth(s *State) bool {
	return m.noProc(func(p Proc) bool {
		return m.creator(p) && s.PC[p] == Created && s.Holder[s.Fd[p]] != None
	})
}

// NoAdoption: data without a lock file is not adopted.
func (m *Protocol) NoAdoption(s *State) bool {
	return m.noProc(func(p Proc) bool {
		return m.recoverer(p) && s.PC[p] == Claimed && has(m.orphan, s.ID[p])
	})
}

// NoAdoptionRace: no adopter finds the name taken.
func (m *Protocol) NoAdoptionRace(s *State) bool {
	return m.noProc(func(p Proc) bool {
		return m.recoverer(p) && s.PC[p] == Locked && s.Lock[s.ID[p]] != None
	})
}

// NoRecoveryOfRecovery: no recoverer holds the lock file that a killed adopter
// made.
func (m *Protocol) NoRecoveryOfRecovery(s *State) bool {
	return m.noProc(func(p Proc) bool {
		return m.recoverer(p) && s.Crashes > 0 && has(m.orphan, s.ID[p]) && s.PC[p] == Taken &&
			s.Holder[s.Fd[p]] == p && s.isNamed(p, s.ID[p])
	})
}

// NoCommitWatched: no recoverer has a live instance's lock file open during a
// commit.
func (m *Protocol) NoCommitWatched(s *State) bool {
	return m.noProc(func(p Proc) bool {
		return m.creator(p) && s.PC[p] == OK && has(m.addition, s.Arg[p]) && !m.noProc(func(q Proc) bool {
			return m.recoverer(q) && s.PC[q] == Opened && s.Fd[q] == s.Fd[p]
		})
	})
}

// NoFullDisk: the disk is never full when the data directory is to be made.
func (m *Protocol) NoFullDisk(s *State) bool {
	for x := Item(1); x <= m.items; x++ {
		if s.Place[x] != Home {
			return true
		}
	}
	return m.noProc(func(p Proc) bool {
		return m.creator(p) && s.Failures > 0 && s.PC[p] == Emptied && s.Used != 0 && s.Data == 0
	})
}

// NoFailedRemoval: no instance whose removal failed is on disk while the
// process that failed lives on.
func (m *Protocol) NoFailedRemoval(s *State) bool {
	half := false
	for i := ID(1); i <= m.ids; i++ {
		for x := Item(1); x <= m.items; x++ {
			half = half || has(s.Data, i) && s.Lock[i] != None && s.Holder[s.Lock[i]] == None &&
				s.Place[x] == Inside(i) && s.Tree[x] < m.files
		}
	}
	return !half || m.noProc(func(p Proc) bool {
		return m.creator(p) && s.Crashes == 0 && s.Failures > 0 && s.PC[p] == Idle
	})
}

// NoMissingVictim: no caller is told that its victim is missing.
func (m *Protocol) NoMissingVictim(s *State) bool {
	return m.noProc(func(p Proc) bool { return m.creator(p) && s.PC[p] == Missing })
}

// NoBusyLock: no recoverer finds a live instance's lock busy.
func (m *Protocol) NoBusyLock(s *State) bool {
	return m.noProc(func(p Proc) bool {
		q := s.Holder[s.Fd[p]]
		return s.PC[p] == Opened && q != None && q != p && m.live(s, q)
	})
}

// NoMountMet: no recoverer meets a mount.
func (m *Protocol) NoMountMet(s *State) bool {
	return m.noProc(func(p Proc) bool {
		if !m.recoverer(p) || s.PC[p] != Emptying {
			return false
		}
		for x := Item(1); x <= m.items; x++ {
			if has(m.mounted, x) && s.Place[x] == Inside(s.ID[p]) {
				return true
			}
		}
		return false
	})
}

// NoYoungName: rule 13 never makes a recoverer leave a name alone.
func (m *Protocol) NoYoungName(s *State) bool {
	t := step{m: m, s: *s}
	return m.noProc(func(p Proc) bool {
		return m.recoverer(p) && (s.PC[p] == SawLock || s.PC[p] == SawData) && t.tooYoung(s.ID[p])
	})
}

// NoUpstreamGhost: no upstream recoverer holds the ghost lock of one of our
// instances.
func (m *Protocol) NoUpstreamGhost(s *State) bool {
	return m.noProc(func(p Proc) bool {
		return m.recoverer(p) && has(m.upstream, p) && s.PC[p] == Claimed && !s.isNamed(p, s.ID[p])
	})
}

// NoParked: nothing is parked that our own process has locked.
func (m *Protocol) NoParked(s *State) bool { return !m.parkedWhere(s, true) }

// NoParkedInVain: nothing is parked whose lock is gone.
func (m *Protocol) NoParkedInVain(s *State) bool { return !m.parkedWhere(s, false) }

func (m *Protocol) parkedWhere(s *State, locked bool) bool {
	for n := Inode(1); n <= m.inodes; n++ {
		if has(s.Parked[1]|s.Parked[2], n-1) && (s.Holder[n] != None) == locked {
			return true
		}
	}
	return false
}

// NoReleasedRecovery: what an owner that lives on has released is not recovered.
func (m *Protocol) NoReleasedRecovery(s *State) bool {
	return m.noProc(func(p Proc) bool {
		return m.recoverer(p) && s.PC[p] == Emptying && s.Crashes == 0 && s.Failures == 0 && s.Fd[p] != None
	})
}

// NoYoungOrphan: no data without a lock file is left alone because it is young.
func (m *Protocol) NoYoungOrphan(s *State) bool {
	t := step{m: m, s: *s}
	return m.noProc(func(p Proc) bool {
		return m.recoverer(p) && s.PC[p] == SawData && s.Lock[s.ID[p]] == None && t.youngData(s.ID[p])
	})
}
