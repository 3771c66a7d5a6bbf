package model

import "fmt"

// This file is Save.tla and MCSave.tla: one save of the layer store's metadata,
// write by write.

// A SaveConfig is the CONSTANTS of a model of a save.
type SaveConfig struct {
	MaxSaves, MaxLosses int
	Swap                map[string]string
}

const (
	saveIdle = iota
	saveMark
	saveNames
	saveSpare
	saveHalf
	saveSyncSpare
	saveReplace
	saveSyncNames
	saveSetMark
	saveSyncMark
	saveOver
	saveHalfOver
	saveSyncOver
	saveClear
	saveDone
)

var savePCNames = []string{`"idle"`, `"mark"`, `"names"`, `"spare"`, `"half"`, `"syncSpare"`, `"replace"`, `"syncNames"`,
	`"setMark"`, `"syncMark"`, `"over"`, `"halfOver"`, `"syncOver"`, `"clear"`, `"done"`}

// savedFiles is the variables seen, with values, and may, with sets of them; file
// has an index from 1. A set has bit n for value n, and mark is 0 or 1.
type savedFiles struct {
	file       [3]uint8
	name, mark uint8
}

type saveState struct {
	seen, may                     savedFiles
	pc, version, reported, losses uint8
}

func (f *savedFiles) pack() uint64 {
	return uint64(f.file[1]) | uint64(f.file[2])<<8 | uint64(f.name)<<16 | uint64(f.mark)<<20
}

func unpackSaved(x uint64) savedFiles {
	return savedFiles{[3]uint8{0, uint8(x), uint8(x >> 8)}, uint8(x >> 16 & 15), uint8(x >> 20 & 15)}
}

func packSave(s *saveState) Key {
	return Key{s.seen.pack() | uint64(s.pc)<<32 | uint64(s.version)<<40 | uint64(s.reported)<<44 | uint64(s.losses)<<48, s.may.pack()}
}

func unpackSave(k Key, s *saveState) {
	*s = saveState{seen: unpackSaved(k[0]), may: unpackSaved(k[1]), pc: uint8(k[0] >> 32), version: uint8(k[0] >> 40 & 15),
		reported: uint8(k[0] >> 44 & 15), losses: uint8(k[0] >> 48)}
}

// A Save is Save.tla for one SaveConfig. It is safe for concurrent use.
type Save struct {
	Config          SaveConfig
	torn, maxLosses uint8
	tabled[saveState, saveStep]
}

// newSave makes a model of a save; it panics on a wrong configuration.
func newSave(c SaveConfig, properties []string) *Save {
	m := &Save{Config: c, torn: uint8(c.MaxSaves + 1), maxLosses: uint8(c.MaxLosses)}
	if m.torn > 7 || m.maxLosses > 15 {
		panic("model: a configuration that does not fit in a Key")
	}
	m.start = saveState{seen: savedFiles{name: 1}, may: savedFiles{[3]uint8{0, 1, 1}, 1 << 1, 1}}
	m.key, m.unpack, m.write = packSave, unpackSave, m.textOf
	m.choose(properties, map[string]func(*saveState) bool{
		"TypeOK": func(s *saveState) bool {
			return s.version < m.torn && s.reported < m.torn && s.losses <= m.maxLosses && max(s.seen.file[1], s.seen.file[2]) <= m.torn
		},
		"ReadsWhole":    func(s *saveState) bool { return m.read(s) != m.torn },
		"ReportedStays": func(s *saveState) bool { return m.read(s) >= s.reported },
	}, map[string]stepProperty[saveState]{
		"NoSpareRead": never("Die", func(_ *Action, s, _ *saveState) bool { return s.seen.mark == 1 }),
		"NoFinishing": never("ClearMark", func(_ *Action, _, n *saveState) bool { return n.pc == saveMark }),
		"NoMarkAtLoss": never("PowerLoss", func(_ *Action, _, n *saveState) bool {
			return n.seen.mark == 1 && n.seen.file[n.seen.name] == m.torn
		}),
		"NoThirdSave": never("Report", func(_ *Action, s, _ *saveState) bool { return s.reported == 2 }),
		"NoWayBack":   func(_ *Action, s, n *saveState) bool { return n.losses != s.losses || m.read(n) >= m.read(s) },
	})
	m.buildTable()
	return m
}

func (s *saveState) spare() uint8 { return 3 - s.seen.name }

// read is Read: what a reader takes for the metadata.
func (m *Save) read(s *saveState) uint8 {
	if s.seen.mark == 1 && m.Config.Swap["Read"] != "ReadsByName" {
		return s.seen.file[s.spare()]
	}
	return s.seen.file[s.seen.name]
}

// saveStep is the expander of Save.
type saveStep struct {
	m *Save
	working[saveState]
}

// does ends a step from at to pc: change, if any, is what it changes.
func (t *saveStep) does(at, pc uint8, change func(n *saveState)) {
	if t.not(t.s.pc == at, "pc = "+savePCNames[at]) {
		return
	}
	n := t.next()
	n.pc = pc
	if change != nil {
		change(n)
	}
	t.done()
}

func (n *saveState) write(file, text uint8) {
	n.seen.file[file] = text
	n.may.file[file] |= 1 << text
}

func (n *saveState) sync(file uint8) { n.may.file[file] = 1 << n.seen.file[file] }
func (n *saveState) syncName()       { n.may.name = 1 << n.seen.name }
func (n *saveState) syncMark()       { n.may.mark = 1 << n.seen.mark }

func (n *saveState) setMark(mark uint8) {
	n.seen.mark = mark
	n.may.mark |= 1 << mark
}

// then is where a save goes on once it knows whether there is a mark.
func (t *saveStep) then() uint8 {
	if t.s.seen.mark == 1 {
		return saveOver
	}
	return saveNames
}

// PowerLoss: each part is one of those that may be on disk.
func (t *saveStep) PowerLoss() {
	if t.not(t.s.losses < t.m.maxLosses, "losses < MaxLosses") {
		return
	}
	may := &t.s.may
	for a := uint8(0); a <= t.m.torn; a++ {
		for b := uint8(0); b <= t.m.torn; b++ {
			for name := uint8(1); name <= 2; name++ {
				for mark := uint8(0); mark <= 1; mark++ {
					if !has(may.file[1], a) || !has(may.file[2], b) || !has(may.name, name) || !has(may.mark, mark) {
						continue
					}
					n := t.next()
					n.seen = savedFiles{[3]uint8{0, a, b}, name, mark}
					n.may = savedFiles{[3]uint8{0, 1 << a, 1 << b}, 1 << name, 1 << mark}
					n.pc = saveIdle
					n.losses++
					t.done()
				}
			}
		}
	}
}

// saveActions are the actions in the order of Next, and the mutants.
var saveActions, saveMutants = []saveAction{
	{"Begin", func(t *saveStep) {
		if !t.not(t.s.version+1 < t.m.torn, "version < MaxSaves") {
			t.does(saveIdle, saveMark, func(n *saveState) { n.version++ })
		}
	}},
	{"SyncMarkFirst", func(t *saveStep) { t.does(saveMark, t.then(), (*saveState).syncMark) }},
	{"SyncNamesFirst", func(t *saveStep) { t.does(saveNames, saveSpare, (*saveState).syncName) }},
	{"WriteSpare", func(t *saveStep) {
		t.does(saveSpare, saveHalf, func(n *saveState) { n.write(n.spare(), t.m.torn) })
		t.does(saveHalf, saveSyncSpare, func(n *saveState) { n.write(n.spare(), n.version) })
	}},
	{"SyncSpare", func(t *saveStep) { t.does(saveSyncSpare, saveReplace, func(n *saveState) { n.sync(n.spare()) }) }},
	{"Exchange", func(t *saveStep) {
		t.does(saveReplace, saveSyncNames, func(n *saveState) {
			n.seen.name = n.spare()
			n.may.name |= 1 << n.seen.name
		})
	}},
	{"ExchangeFails", func(t *saveStep) { t.does(saveReplace, saveSetMark, nil) }},
	{"SyncNames", func(t *saveStep) { t.does(saveSyncNames, saveDone, (*saveState).syncName) }},
	{"Mark", func(t *saveStep) { t.does(saveSetMark, saveSyncMark, func(n *saveState) { n.setMark(1) }) }},
	{"SyncMark", func(t *saveStep) { t.does(saveSyncMark, saveOver, (*saveState).syncMark) }},
	{"Overwrite", func(t *saveStep) {
		t.does(saveOver, saveHalfOver, func(n *saveState) { n.write(n.seen.name, t.m.torn) })
		t.does(saveHalfOver, saveSyncOver, func(n *saveState) { n.write(n.seen.name, n.seen.file[n.spare()]) })
	}},
	{"SyncOver", func(t *saveStep) { t.does(saveSyncOver, saveClear, func(n *saveState) { n.sync(n.seen.name) }) }},
	{"ClearMark", func(t *saveStep) {
		then := uint8(saveMark)
		if t.s.seen.file[t.s.seen.name] == t.s.version {
			then = saveDone
		}
		t.does(saveClear, then, func(n *saveState) { n.setMark(0) })
	}},
	{"Report", func(t *saveStep) { t.does(saveDone, saveIdle, func(n *saveState) { n.reported = n.version }) }},
	{"Die", func(t *saveStep) {
		if !t.not(t.s.pc != saveIdle, `pc # "idle"`) {
			t.does(t.s.pc, saveIdle, nil)
		}
	}},
	{"PowerLoss", (*saveStep).PowerLoss},
}, []saveAction{
	{"OverwritesUnmarked", func(t *saveStep) { t.does(saveReplace, saveOver, nil) }},
	{"SpareNotDurable", func(t *saveStep) { t.does(saveSyncSpare, saveReplace, nil) }},
	{"MarkNotDurable", func(t *saveStep) { t.does(saveSyncMark, saveOver, nil) }},
	{"OverNotDurable", func(t *saveStep) { t.does(saveSyncOver, saveClear, nil) }},
	{"NamesNotDurable", func(t *saveStep) { t.does(saveSyncNames, saveDone, nil) }},
	{"NoNamesFirst", func(t *saveStep) { t.does(saveNames, saveSpare, nil) }},
	{"ClearNotDurable", func(t *saveStep) { t.does(saveMark, t.then(), nil) }},
	{"DoesNotFinish", func(t *saveStep) { t.does(saveMark, saveNames, (*saveState).syncMark) }},
	{"ClearsFirst", func(t *saveStep) { t.does(saveSyncMark, saveOver, func(n *saveState) { n.setMark(0) }) }},
}

type saveAction struct {
	name string
	do   func(*saveStep)
}

func (m *Save) buildTable() {
	for _, action := range saveActions {
		a := Action{Name: action.name, Slot: action.name}
		for _, mutant := range saveMutants {
			if m.Config.Swap[action.name] == mutant.name {
				a.Name, action.do = mutant.name, mutant.do
			}
		}
		m.table, m.do = append(m.table, a), append(m.do, action.do)
	}
}

func (m *Save) newExpander() expander {
	t := &saveStep{m: m}
	return m.expands(t, &t.working)
}

var markNames = []string{"FALSE", "TRUE"}

func (m *Save) textOf(s *saveState) string {
	numbers := func(set uint8) string { return setText(set<<1, []string{"0", "1", "2", "3", "4", "5", "6", "7"}, ",") }
	return fmt.Sprintf(`losses=%d
may=["file"-><<%s,%s>>,"mark"->%s,"name"->%s]
pc=%s
reported=%d
seen=["file"-><<%d,%d>>,"mark"->%s,"name"->%d]
version=%d`, s.losses, numbers(s.may.file[1]), numbers(s.may.file[2]), setText(s.may.mark<<1, markNames, ","),
		numbers(s.may.name), savePCNames[s.pc], s.reported, s.seen.file[1], s.seen.file[2], markNames[s.seen.mark],
		s.seen.name, s.version)
}
