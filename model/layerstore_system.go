package model

import (
	"slices"
	"strconv"
	"strings"
)

// newLayerStore makes a layer store; it panics on a wrong configuration.
func newLayerStore(c StoreConfig, symmetry string, properties []string) *LayerStore {
	m := &LayerStore{Config: c, procs: uint8(len(c.Proc)), maxCrashes: uint8(c.MaxCrashes), maxFailures: uint8(c.MaxFailures),
		layerNames: slices.Concat(c.Old, c.New)}
	m.layers = uint8(len(m.layerNames))
	if m.procs > maxProcs || m.layers > maxLayers || m.maxCrashes > maxCount || m.maxFailures > maxCount {
		panic("model: a configuration that does not fit in a Key")
	}
	m.start.whole = 2<<m.layers - 2
	m.handle = setOf(c.Handle, c.Proc)
	for x := range c.Old {
		m.start.record[x+1], m.start.place[x+1] = recordComplete, layerHome
	}
	m.key, m.unpack, m.write, m.tabled.procs = m.canonical, unpackStore, m.textOf, c.Proc
	if symmetry == "Symmetry" {
		m.symmetry = orders(1, m.procs)
	}
	steps := m.storeProbes()
	steps["LayersAreTrees"] = m.LayersAreTrees
	m.choose(properties, map[string]func(*storeState) bool{
		"TypeOK": m.TypeOK, "RemovesUnlocked": m.RemovesUnlocked, "NobodyPays": m.NobodyPays, "HereIsClaimed": m.HereIsClaimed,
		"DeletedStaysGone": m.DeletedStaysGone, "WholeOrFlagged": m.WholeOrFlagged, "NoLeak": m.NoLeak, "HomeWhole": m.HomeWhole,
		"EachIsLed": m.EachIsLed,
	}, steps)
	m.buildTable()
	return m
}

// storeActions are the actions of a process in the order of Next; FinishFlagged,
// ClaimUnknown, Delete, Create and Recover are also of a layer.
var storeActions = []string{
	"Load", "Update", "FinishFlagged", "LeaveClaimed", "TakeStoreLock", "Flag", "Stage", "Forget", "Release", "Commit", "Complete",
	"DropStoreLock", "Remove", "Unflag", "Claim", "RemoveHere", "TakeStoreLockAgain", "ForgetHere", "LockFails", "LockAgainFails",
	"FlagFails", "UnflagFails", "ForgetFails", "ForgetHereFails", "CompleteFails", "CommitFails", "ClaimFails", "RemoveFails",
	"RemoveHereFails", "StageFails", "StageMeetsMount", "ClaimUnknown", "Crash", "Delete", "Create", "Recover",
}

// forAll are the actions of StoreGroup.tla that take the place of others: one save for
// several deletions.
var forAll = map[string]string{
	"Flag": "FlagAll", "FlagFails": "FlagAllFails", "Forget": "SettleAll", "ForgetFails": "SettleAllFails", "Unflag": "", "UnflagFails": "",
	"DropStoreLock": "DropAll", "Crash": "CrashAll",
}

// buildTable makes the instances of the actions, in the order of Next.
func (m *LayerStore) buildTable() {
	for p := range m.Config.Proc {
		for _, action := range storeActions {
			if all, ok := forAll[action]; ok && m.handle != 0 {
				action = all
			}
			if action != "" {
				m.add(action, m.Config.Swap, only(2<<p, m.Config.Proc), m.layerNames)
			}
		}
		if m.handle != 0 {
			m.add("Join", m.Config.Swap, only(2<<p, m.Config.Proc), m.Config.Proc)
		}
	}
}

// canonical is the least key of the class of s, if there is symmetry.
func (m *LayerStore) canonical(s *storeState) Key {
	least := packStore(s)
	for _, order := range m.symmetry {
		n := *s
		rename := func(p Proc) Proc {
			if p == None {
				return None
			}
			return order[p-1]
		}
		n.storeLock = rename(s.storeLock)
		for x := range n.owner {
			n.owner[x], n.claim[x] = rename(s.owner[x]), rename(s.claim[x])
		}
		for p := Proc(1); p <= m.procs; p++ {
			q := rename(p)
			n.pc[q], n.op[q], n.arg[q], n.at[q], n.tried[q] = s.pc[p], s.op[p], s.arg[p], s.at[p], s.tried[p]
		}
		if k := packStore(&n); k.less(least) {
			least = k
		}
	}
	return least
}

func (m *LayerStore) newExpander() expander {
	t := &storeStep{m: m}
	return m.expands(t, &t.working)
}

// fair is the fairness of LiveSpec: WF(Step(p)), SF of both TakeStoreLocks of p,
// WF of any Load, SF of any Recover of each layer.
func (m *LayerStore) fair() (of func(from Key, action uint16, to Key) uint64, all, strong uint64) {
	step := func(p Proc) uint64 { return 1 << (p - 1) }
	lock := func(p Proc) uint64 { return step(p) << m.procs }
	again := func(p Proc) uint64 { return lock(p) << m.procs }
	recover := func(x uint8) uint64 { return 1 << (3*m.procs + x - 1) }
	load := uint64(1) << (3*m.procs + m.layers)
	for p := Proc(1); p <= m.procs; p++ {
		all |= step(p)
		strong |= lock(p) | again(p)
	}
	for x := uint8(1); x <= m.layers; x++ {
		strong |= recover(x)
	}
	return func(_ Key, action uint16, _ Key) uint64 {
		switch a := &m.table[action]; a.Slot {
		case "Load":
			return load
		case "Recover":
			return recover(a.i)
		case "TakeStoreLock":
			return step(a.p) | lock(a.p)
		case "TakeStoreLockAgain":
			return step(a.p) | again(a.p)
		case "Crash", "Delete", "Create", "Update", "StageMeetsMount", "ClaimUnknown":
			return 0
		default:
			if strings.HasSuffix(a.Slot, "Fails") {
				return 0
			}
			return step(a.p)
		}
	}, all | strong | load, strong
}

func (m *LayerStore) goals() []func(Key) bool {
	return []func(Key) bool{func(k Key) bool {
		var s storeState
		unpackStore(k, &s)
		return m.incomplete(&s) == 0 && !slices.Contains(s.place[1:], layerStaged)
	}}
}

func (m *LayerStore) textOf(s *storeState) string {
	var lines []string
	number := func(name string, n uint8) { lines = append(lines, name+"="+strconv.Itoa(int(n))) }
	of := func(name string, keys []string, value func(i int) string) {
		lines = append(lines, string(appendFunction([]byte(name+"="), keys, value)))
	}
	procs, layers := m.Config.Proc, m.layerNames
	layerOf := func(a [maxProcs + 1]uint8) func(int) string {
		return func(p int) string { return nameOf(layers, a[p]) }
	}
	procOf := func(a [maxLayers + 1]uint8) func(int) string {
		return func(x int) string { return nameOf(procs, a[x]) }
	}
	of("arg", procs, layerOf(s.arg))
	of("at", procs, layerOf(s.at))
	of("claim", layers, procOf(s.claim))
	number("crashes", s.crashes)
	lines = append(lines, "deleted="+setText(s.deleted, layers, ","))
	number("failures", s.failures)
	of("op", procs, func(p int) string { return askedNames[s.op[p]] })
	of("owner", layers, procOf(s.owner))
	of("pc", procs, func(p int) string { return storePCNames[s.pc[p]] })
	of("place", layers, func(x int) string { return layerNames[s.place[x]] })
	of("record", layers, func(x int) string { return recordNames[s.record[x]] })
	lines = append(lines, "storeLock="+nameOf(procs, s.storeLock))
	of("tried", procs, func(p int) string { return setText(s.tried[p], layers, ",") })
	lines = append(lines, "whole="+setText(s.whole, layers, ","))
	return strings.Join(lines, "\n")
}
