package model

import "strings"

// This file is the properties of PowerLoss.tla and MCPowerLoss.tla, and what
// the explorer needs.

// newPowerLoss makes a model of power loss; it panics on a wrong configuration.
func newPowerLoss(c PowerConfig, properties []string) *PowerLoss {
	m := &PowerLoss{Config: c, files: uint8(c.Files), maxLosses: uint8(c.MaxLosses)}
	t := diskTree{layer: powerHome, files: m.files, record: recordComplete}
	m.start = powerState{cache: t, disk: t, pc: powerBegin}
	m.key, m.unpack, m.write = packPower, unpackPower, m.textOf
	m.choose(properties, map[string]func(*powerState) bool{
		"TypeOK": m.TypeOK, "ReachableWhole": m.ReachableWhole, "WholeOrFlagged": m.WholeOrFlagged, "NoLeak": m.NoLeak,
	}, map[string]stepProperty[powerState]{
		"NoOrphan":   never("Recover", func(_ *Action, s, _ *powerState) bool { return s.cache.data && !s.cache.lock }),
		"NoBareLock": never("Recover", func(_ *Action, s, _ *powerState) bool { return !s.cache.data && s.cache.lock }),
		"NoLossInRecovery": never("PowerLoss", func(_ *Action, s, n *powerState) bool {
			return s.losses == 1 && n.cache.layer == powerEntry && n.cache.files >= 1 && n.cache.files < m.files
		}),
	})
	m.buildTable()
	return m
}

// TypeOK of PowerLoss.tla: everything else fits by construction.
func (m *PowerLoss) TypeOK(s *powerState) bool {
	ok := s.losses <= m.maxLosses
	for _, t := range []diskTree{s.cache, s.disk} {
		ok = ok && t.files <= m.files && t.layer <= powerHome|powerEntry && t.record <= recordComplete
	}
	return ok
}

// ReachableWhole: rule 11, what is reachable by its path is whole.
func (m *PowerLoss) ReachableWhole(s *powerState) bool {
	return !s.cache.atHome() || s.cache.files == m.files
}

// WholeOrFlagged: a layer whose record is not flagged is there, and whole.
func (m *PowerLoss) WholeOrFlagged(s *powerState) bool {
	return s.cache.record != recordComplete || s.cache.atHome() && s.cache.files == m.files
}

// NoLeak: a layer that is there has a record, when nobody is at work.
func (m *PowerLoss) NoLeak(s *powerState) bool {
	return s.pc != powerRecover && s.pc != powerDone || !s.cache.atHome() || s.cache.record != recordNone
}

func (m *PowerLoss) newExpander() expander {
	t := &powerStep{m: m}
	return m.expands(t, &t.working)
}

// fair is WF(Step): every action but PowerLoss and Kill.
func (m *PowerLoss) fair() (of func(from Key, action uint16, to Key) uint64, all, strong uint64) {
	return func(_ Key, action uint16, _ Key) uint64 {
		if slot := m.table[action].Slot; slot == "PowerLoss" || slot == "Kill" {
			return 0
		}
		return 1
	}, 1, 0
}

func (m *PowerLoss) goals() []func(Key) bool {
	return []func(Key) bool{func(k Key) bool {
		c := unpackTree(k[0] & 255)
		return !c.lock && !c.data && !c.atEntry() && c.record != recordIncomplete
	}}
}

func (m *PowerLoss) textOf(s *powerState) string {
	var log []string
	for _, op := range s.log {
		log = append(log, `"`+powerOpNames[op]+`"`)
	}
	return "cache=" + s.cache.text() + "\ndisk=" + s.disk.text() + "\nlog=<<" + strings.Join(log, ",") +
		">>\nlosses=" + string('0'+rune(s.losses)) + "\npc=" + powerPCNames[s.pc]
}
