package model

// A step computes steps of the protocol.
type step struct {
	m *Protocol
	working[State]

	keeps bool // for a Stepper: the states themselves, and nothing else
	kept  []State
}

// done ends a step.
func (t *step) done() {
	if t.keeps {
		t.kept = append(t.kept, t.n)
		return
	}
	t.working.done()
}

// buildProperties takes the properties by their names.
func (m *Protocol) buildProperties(names []string) {
	states := map[string]func(*State) bool{
		"TypeOK": m.TypeOK, "MixedTypeOK": m.MixedTypeOK, "LiveKept": m.LiveKept, "OurLiveKept": m.OurLiveKept,
		"LiveIsLocked": m.LiveIsLocked, "OneOwner": m.OneOwner, "DataHasLock": m.DataHasLock, "LockKept": m.LockKept,
		"ReachableWhole": m.ReachableWhole, "RepliesTrue": m.RepliesTrue, "NeverLost": m.NeverLost,
		"RecordedKept": m.RecordedKept,
	}
	steps := m.probes()
	steps["UnlinkedByHolder"], steps["LookingChangesNothing"], steps["TempDirSpec"] = m.UnlinkedByHolder, m.LookingChangesNothing, m.Refined()
	m.choose(names, states, steps)
}
