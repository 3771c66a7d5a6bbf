package model

// This file is Probes.tla: each says that a branch of an action is never taken,
// and must be refuted. The probes of MC*.tla stand with their systems.

// never is a probe: no step of the action is as found says, of the action's
// arguments and the states before and after.
func never[S any](slot string, found func(a *Action, s, n *S) bool) stepProperty[S] {
	return func(a *Action, s, n *S) bool { return a.Slot != slot || !found(a, s, n) }
}

func (m *Protocol) probes() map[string]stepProperty[State] {
	always := func(Proc, *State) bool { return true }
	// goes says that p is one of who, goes from one place to another, and more.
	goes := func(slot string, who func(Proc) bool, from, to PC, more func(p Proc, s *State) bool) stepProperty[State] {
		return never(slot, func(a *Action, s, n *State) bool {
			return who(a.p) && s.PC[a.p] == from && n.PC[a.p] == to && more(a.p, s)
		})
	}
	parks := func(_ *Action, s, n *State) bool { return n.Parked != s.Parked }
	return map[string]stepProperty[State]{
		"NoGhostLock":        goes("StatName", m.recoverer, Taken, Closing, always),
		"NoCreatorGhostLock": goes("StatName", m.creator, Taken, Closing, always),
		"NoStolenBirth":      goes("TakeLock", m.creator, Created, Closing, always),
		"NoAdoption":         goes("LinkLock", m.recoverer, Locked, Claimed, always),
		"NoAdoptionRace":     goes("LinkLock", m.recoverer, Locked, Closing, always),
		"NoRecoveryOfRecovery": goes("StatName", m.recoverer, Taken, Claimed, func(p Proc, s *State) bool {
			return s.Crashes > 0 && has(m.orphan, s.ID[p])
		}),
		"NoCommitWatched": goes("Commit", m.creator, Calling, OK, func(p Proc, s *State) bool {
			for q := m.creators + 1; q <= m.procs; q++ {
				if s.PC[q] == Opened && s.Fd[q] == s.Fd[p] {
					return true
				}
			}
			return false
		}),
		"NoFullDisk": goes("CallFails", m.creator, Named, Emptied, always),
		"NoFailedRemoval": goes("Close", m.creator, Closing, Idle, func(p Proc, s *State) bool {
			return has(s.Data, s.ID[p]) && s.isNamed(p, s.ID[p]) && !m.keepsData(s, p)
		}),
		"NoMissingVictim": goes("StageDeletion", m.creator, Calling, Missing, always),
		"NoBusyLock": goes("TakeLock", m.recoverer, Opened, Closing, func(p Proc, s *State) bool {
			return m.live(s, s.Holder[s.Fd[p]])
		}),
		"NoMountMet":     goes("OpenEntry", m.recoverer, Emptying, Closing, always),
		"NoParked":       never("LockHolder", parks),
		"NoParkedInVain": never("OpenLock", parks),
		"NoReleasedRecovery": goes("OpenDirectory", m.recoverer, Claimed, Emptying, func(_ Proc, s *State) bool {
			return s.Crashes == 0 && s.Failures == 0
		}),
		"NoYoungOrphan": goes("SkipYoung", m.recoverer, SawData, Closing, always),
		"NoYoungName":   goes("SkipYoung", m.recoverer, SawLock, Closing, always),
		"NoUpstreamGhost": goes("UpstreamTakeLock", m.recoverer, UpstreamOpened, Claimed, func(p Proc, s *State) bool {
			return !s.isNamed(p, s.ID[p])
		}),
	}
}
