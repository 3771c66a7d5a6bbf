package model

import (
	"slices"
	"sync"
)

// This file is the refinement of LockThenData.tla: how the protocol looks to
// its callers, and whether each step is one that TempDir.tla allows.

func (m *Protocol) itemOf(s *State, x Item) uint8 {
	whole := s.Tree[x] == m.files
	switch place := s.Place[x]; {
	case place == Home && whole:
		return itemLive
	case place == Home:
		return itemTorn
	case place >= inside && whole:
		return itemStaged
	case place >= inside || place == PlaceGone:
		return itemGone
	}
	return itemAbsent
}

func (m *Protocol) ownerOf(s *State, x Item) Proc {
	if m.itemOf(s, x) != itemStaged {
		return None
	}
	for p := Proc(1); p <= m.creators; p++ {
		if s.ID[p] != None && Inside(s.ID[p]) == s.Place[x] {
			return p
		}
	}
	return None
}

func (m *Protocol) inCall(s *State, p Proc) bool {
	return m.creator(p) && (s.PC[p] == Calling || replyPCs.has(s.PC[p]))
}

func (m *Protocol) doesOf(s *State, p Proc) uint8 {
	switch pc := s.PC[p]; {
	case m.recoverer(p) && pc == Idle:
		return None
	case m.recoverer(p):
		return opRecover
	case createPCs.has(pc):
		return opCreate
	case removePCs.has(pc):
		return opClose
	case m.inCall(s, p) && s.Arg[p] == None:
		return opCreate
	case m.inCall(s, p) && has(m.victim, s.Arg[p]):
		return opDelete
	case m.inCall(s, p):
		return opCommit
	}
	return None
}

// abstract is the substitution of TD, the instance of TempDir.tla. Its trees
// are those of the protocol without the mounted ones.
func (m *Protocol) abstract(s *State) Key {
	var a whatState
	var number [maxItems + 1]uint8
	last := uint8(0)
	for x := Item(1); x <= m.items; x++ {
		if !has(m.mounted, x) {
			last++
			number[x] = last
			a.item[last], a.owner[last] = m.itemOf(s, x), m.ownerOf(s, x)
		}
	}
	for p := Proc(1); p <= m.procs; p++ {
		a.does[p] = m.doesOf(s, p)
		if m.inCall(s, p) {
			a.arg[p] = number[s.Arg[p]]
		}
		if replyPCs.has(s.PC[p]) {
			a.reply[p] = s.PC[p] - OK + replyOK
		}
		if m.creator(p) && openPCs.has(s.PC[p]) {
			a.open |= 1 << p
		}
	}
	return packWhat(&a)
}

// Refined is TempDirSpec of one step: whether the step from s to n is one of
// TempDir.tla, or none that callers see. The action is not looked at. What was found
// is kept for the next call; several goroutines may call it.
func (m *Protocol) Refined() func(a *Action, s, n *State) bool {
	what := newTempDir(m.Config.Creator, m.Config.Recoverer, m.Config.Victim, m.Config.Addition, false)
	var seen sync.Map // bool, of two keys
	return func(_ *Action, s, n *State) bool {
		from, to := m.abstract(s), m.abstract(n)
		if from == to {
			return true
		}
		ok, known := seen.Load([2]Key{from, to})
		if !known {
			steps, _ := what.newExpander().expand(from, nil)
			ok = slices.ContainsFunc(steps, func(step Step) bool { return step.To == to })
			seen.Store([2]Key{from, to}, ok)
		}
		return ok.(bool)
	}
}
