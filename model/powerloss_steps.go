package model

import "slices"

// This file is the program of PowerLoss.tla, with the mutants of MCPowerLoss.tla.

const (
	powerBegin = iota
	powerFlagged
	powerLink
	powerMake
	powerStage
	powerStaged
	powerForget
	powerUnlocked
	powerRemove
	powerLoad
	powerRecover
	powerDone
	powerHere
	powerGoneHere
	powerForgetHere
	powerLoose
)

var powerPCNames = []string{`"begin"`, `"flagged"`, `"link"`, `"make"`, `"stage"`, `"staged"`, `"forget"`,
	`"unlocked"`, `"remove"`, `"load"`, `"recover"`, `"done"`,
	`"here"`, `"gone"`, `"forgetHere"`, `"loose"`}

type powerState struct {
	cache, disk diskTree
	log         []uint8
	pc, losses  uint8
}

const maxLog = 16

func packPower(s *powerState) Key {
	if len(s.log) > maxLog {
		panic("model: a log that does not fit in a Key")
	}
	k := Key{s.cache.pack() | s.disk.pack()<<8 | uint64(s.pc)<<16 | uint64(s.losses)<<20}
	for i, op := range s.log {
		k[1] |= uint64(op) << (4 * i)
	}
	return k
}

func unpackPower(k Key, s *powerState) {
	s.cache, s.disk = unpackTree(k[0]&255), unpackTree(k[0]>>8&255)
	s.pc, s.losses = uint8(k[0]>>16&15), uint8(k[0]>>20&3)
	s.log = s.log[:0]
	for rest := k[1]; rest != 0; rest >>= 4 {
		s.log = append(s.log, uint8(rest&15))
	}
}

// A PowerLoss is PowerLoss.tla for one PowerConfig. It is safe for concurrent
// use.
type PowerLoss struct {
	Config PowerConfig

	files, maxLosses uint8
	tabled[powerState, powerStep]
}

type powerStep struct {
	m *PowerLoss
	working[powerState]
}

func (t *powerStep) at(pc uint8) bool {
	return !t.not(t.s.pc == pc, "pc = "+powerPCNames[pc])
}

func (t *powerStep) to(n powerState) {
	t.n = n
	t.done()
}

// call is Do: one system call, seen at once, durable later.
func (t *powerStep) call(op, pc uint8) {
	n := t.s
	n.cache = n.cache.apply(op)
	n.log = append(slices.Clone(n.log), t.m.parts(op)...)
	n.pc = pc
	t.to(n)
}

// goes is a step that changes pc only.
func (t *powerStep) goes(pc uint8) {
	n := t.s
	n.pc = pc
	t.to(n)
}

// syncIf is SyncIf.
func (t *powerStep) syncIf(what string, dir, pc uint8) {
	if !slices.Contains(t.m.Config.Syncs, what) {
		t.goes(pc)
		return
	}
	n := t.s
	set := t.m.syncSet(t.s.log, dir)
	n.disk = applyAll(n.disk, t.s.log, set)
	n.log = without(t.s.log, set)
	n.pc = pc
	t.to(n)
}

// Recover: an orphan is adopted.
func (t *powerStep) Recover(adopts bool) {
	switch c := t.s.cache; {
	case !t.at(powerRecover):
	case adopts && c.data && !c.lock:
		t.call(opLinkLock, powerUnlocked)
	case c.lock:
		t.goes(powerUnlocked)
	default:
		t.goes(powerLoad)
	}
}

// Load: an incomplete record is a deletion to be done again.
func (t *powerStep) Load(flagged uint8) {
	switch c := t.s.cache; {
	case !t.at(powerLoad):
	case c.record == recordIncomplete && !c.atHome():
		t.goes(flagged)
	case c.lock || c.data:
		t.goes(powerRecover)
	case c.record == recordIncomplete:
		t.goes(flagged)
	default:
		t.goes(powerDone)
	}
}

// then is Then: where the store goes on once the flag is durable.
func (t *powerStep) then() uint8 {
	switch {
	case !t.s.cache.atHome():
		return powerGoneHere
	case t.m.Config.InPlace:
		return powerHere
	}
	return powerLink
}

// PowerLoss: everything dies; what may survive together survives.
func (t *powerStep) PowerLoss() {
	if t.not(t.s.losses < t.m.maxLosses, "losses < MaxLosses") {
		return
	}
	for _, disk := range t.m.survivors(t.s.disk, t.s.log) {
		t.to(powerState{cache: disk, disk: disk, pc: powerRecover, losses: t.s.losses + 1})
	}
}

// Kill: the program is killed, and the next one loads.
func (t *powerStep) Kill() {
	pc := t.s.pc
	if t.not(t.m.Config.Kills, "Kills") || t.not(t.s.losses < t.m.maxLosses, "losses < MaxLosses") ||
		t.not(pc != powerLoad && pc != powerDone, `pc \notin {"load", "done"}`) {
		return
	}
	n := t.s
	n.pc = powerLoad
	n.losses++
	t.to(n)
}

// buildTable makes the actions, in the order of Next.
func (m *PowerLoss) buildTable() {
	add := func(name string, do func(t *powerStep)) {
		a := Action{Name: name, Slot: name}
		if mutant, ok := m.Config.Swap[name]; ok {
			a.Name = mutant
			do = map[string]func(t *powerStep){
				"ForgetsFirst": func(t *powerStep) {
					if t.at(powerFlagged) {
						t.call(opForget, powerLink)
					}
				},
				"TrustsFlag": func(t *powerStep) { t.Load(t.then()) },
				"NoAdoption": func(t *powerStep) { t.Recover(false) },
				"IgnoresFlag": func(t *powerStep) {
					if t.at(powerLoad) {
						t.goes(powerDone)
					}
				},
			}[mutant]
			if do == nil {
				panic(unknown{"mutant", mutant})
			}
		}
		m.table, m.do = append(m.table, a), append(m.do, do)
	}
	call := func(name string, at, op, then uint8) {
		add(name, func(t *powerStep) {
			if t.at(at) {
				t.call(op, then)
			}
		})
	}
	sync := func(name string, at uint8, what string, dir, then uint8) {
		add(name, func(t *powerStep) {
			if t.at(at) {
				t.syncIf(what, dir, then)
			}
		})
	}
	remove := func(name string, at, op, then uint8, guard string, ok func(c diskTree) bool) {
		add(name, func(t *powerStep) {
			if t.at(at) && !t.not(ok(t.s.cache), guard) {
				t.call(op, then)
			}
		})
	}
	call("Flag", powerBegin, opFlag, powerFlagged)
	add("SyncFlag", func(t *powerStep) {
		if t.at(powerFlagged) {
			t.syncIf("flag", inMetadata, t.then())
		}
	})
	call("LinkLock", powerLink, opLinkLock, powerMake)
	call("MakeData", powerMake, opMakeData, powerStage)
	staged := uint8(powerStaged)
	if m.Config.Loose {
		staged = powerLoose
	}
	call("StageDeletion", powerStage, opStageDeletion, staged)
	sync("SyncSource", powerLoose, "source", inLayers, powerStaged)
	sync("SyncRecord", powerStaged, "record", inData, powerForget)
	call("Forget", powerForget, opForget, powerUnlocked)
	sync("SyncData", powerUnlocked, "data", inData, powerRemove)
	remove("RemoveEntry", powerRemove, opRemoveEntry, powerRemove, `AtEntry(cache) /\ cache.files > 0`,
		func(c diskTree) bool { return c.atEntry() && c.files > 0 })
	remove("RemoveLayer", powerRemove, opRemoveLayer, powerRemove, `AtEntry(cache) /\ cache.files = 0`,
		func(c diskTree) bool { return c.atEntry() && c.files == 0 })
	remove("RemoveData", powerRemove, opRemoveData, powerRemove, `cache.data /\ ~AtEntry(cache)`,
		func(c diskTree) bool { return c.data && !c.atEntry() })
	remove("RemoveLock", powerRemove, opRemoveLock, powerLoad, `cache.lock /\ ~cache.data`,
		func(c diskTree) bool { return c.lock && !c.data })
	remove("RemoveEntryHere", powerHere, opRemoveEntry, powerHere, `cache.files > 0`, func(c diskTree) bool { return c.files > 0 })
	remove("RemoveHome", powerHere, opRemoveHome, powerGoneHere, `cache.files = 0`, func(c diskTree) bool { return c.files == 0 })
	sync("SyncHere", powerGoneHere, "here", inLayers, powerForgetHere)
	call("ForgetHere", powerForgetHere, opForget, powerLoad)
	add("Recover", func(t *powerStep) { t.Recover(true) })
	add("Load", func(t *powerStep) { t.Load(powerFlagged) })
	add("PowerLoss", (*powerStep).PowerLoss)
	add("Kill", (*powerStep).Kill)
}
