package model

// This file is Fairness and GoneInTheEnd of LockThenData.tla, and
// MixedLiveSpec of Upstream.tla.

// environment are the actions that are no steps of a process.
var environment = map[string]bool{
	"CallFails": true, "UpstreamCallFails": true, "Crash": true, "Mount": true, "Sweep": true, "TakesLockFile": true,
	"PeerCommitFails": true,
}

// fair: condition p-1 is WF(Step(p)); after those, SF(WholeList(p, i)).
func (m *Protocol) fair() (of func(from Key, action uint16, to Key) uint64, all, strong uint64) {
	bit := func(p Proc, i ID) uint64 { return 1 << (m.procs + (p-m.creators-1)*m.ids + i - 1) }
	all = 1<<m.procs - 1
	for p := m.creators + 1; p <= m.procs; p++ {
		for i := ID(1); i <= m.ids; i++ {
			strong |= bit(p, i)
		}
	}
	return func(from Key, action uint16, to Key) uint64 {
		a := &m.table[action]
		if environment[a.Slot] {
			return 0
		}
		satisfied := uint64(1) << (a.p - 1)
		if a.Slot == "List" || a.Slot == "PeerList" {
			var s, n State
			unpack(from, &s)
			unpack(to, &n)
			if m.wholeList(&s, a.i, n.PC[a.p]) {
				satisfied |= bit(a.p, a.i)
			}
		}
		return satisfied
	}, all | strong, strong
}

// goals: Gone(i) for each id.
func (m *Protocol) goals() []func(Key) bool {
	var goals []func(Key) bool
	for i := ID(1); i <= m.ids; i++ {
		goals = append(goals, func(k Key) bool {
			var s State
			unpack(k, &s)
			return s.gone(i)
		})
	}
	return goals
}
