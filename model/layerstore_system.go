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
	m.old = setOf(c.Old, m.layerNames)
	if symmetry == "Symmetry" {
		m.symmetry = orders(1, m.procs)[1:]
	}
	steps := m.storeProbes()
	steps["LayersAreTrees"] = m.LayersAreTrees
	m.choose(properties, map[string]func(*storeState) bool{
		"TypeOK": m.TypeOK, "RemovesUnlocked": m.RemovesUnlocked, "NobodyPays": m.NobodyPays, "HereIsClaimed": m.HereIsClaimed,
		"DeletedStaysGone": m.DeletedStaysGone, "WholeOrFlagged": m.WholeOrFlagged, "NoLeak": m.NoLeak, "HomeWhole": m.HomeWhole,
	}, steps)
	m.buildTable()
	return m
}

// A storeAction is an action of a process, and of a layer if of is set.
type storeAction struct {
	name string
	do   func(t *storeStep, p Proc)
	of   func(t *storeStep, p Proc, x uint8)
}

// storeActions are the actions in the order of Next, and the mutants.
var storeActions, storeMutants = []storeAction{
	{name: "Load", do: (*storeStep).Load},
	{name: "Update", do: (*storeStep).Update},
	{name: "FinishFlagged", of: (*storeStep).FinishFlagged},
	{name: "LeaveClaimed", do: (*storeStep).LeaveClaimed},
	{name: "TakeStoreLock", do: (*storeStep).TakeStoreLock},
	{name: "Flag", do: (*storeStep).Flag},
	{name: "Stage", do: (*storeStep).Stage},
	{name: "Forget", do: (*storeStep).Forget},
	{name: "Release", do: (*storeStep).Release},
	{name: "Commit", do: (*storeStep).Commit},
	{name: "Complete", do: (*storeStep).Complete},
	{name: "DropStoreLock", do: (*storeStep).DropStoreLock},
	{name: "Remove", do: (*storeStep).Remove},
	{name: "Unflag", do: (*storeStep).Unflag},
	{name: "Claim", do: (*storeStep).Claim},
	{name: "RemoveHere", do: (*storeStep).RemoveHere},
	{name: "TakeStoreLockAgain", do: (*storeStep).TakeStoreLockAgain},
	{name: "ForgetHere", do: (*storeStep).ForgetHere},
	{name: "LockFails", do: (*storeStep).LockFails},
	{name: "LockAgainFails", do: (*storeStep).LockAgainFails},
	{name: "FlagFails", do: (*storeStep).FlagFails},
	{name: "UnflagFails", do: (*storeStep).UnflagFails},
	{name: "ForgetFails", do: (*storeStep).ForgetFails},
	{name: "ForgetHereFails", do: (*storeStep).ForgetHereFails},
	{name: "CompleteFails", do: (*storeStep).CompleteFails},
	{name: "CommitFails", do: (*storeStep).CommitFails},
	{name: "ClaimFails", do: (*storeStep).ClaimFails},
	{name: "RemoveFails", do: (*storeStep).RemoveFails},
	{name: "RemoveHereFails", do: (*storeStep).RemoveHereFails},
	{name: "StageFails", do: (*storeStep).StageFails},
	{name: "StageMeetsMount", do: (*storeStep).StageMeetsMount},
	{name: "ClaimUnknown", of: (*storeStep).ClaimUnknown},
	{name: "Crash", do: (*storeStep).Crash},
	{name: "Delete", of: (*storeStep).Delete},
	{name: "Create", of: (*storeStep).Create},
	{name: "Recover", of: (*storeStep).Recover},
}, []storeAction{
	{name: "RemovesUnderLock", do: (*storeStep).RemovesUnderLock},
	{name: "RecoversUnderLock", do: (*storeStep).RecoversUnderLock},
	{name: "NoFlag", do: (*storeStep).NoFlag},
	{name: "ForgetsFirst", do: (*storeStep).ForgetsFirst},
	{name: "CompletesFirst", do: (*storeStep).CompletesFirst},
	{name: "RemovesInPlace", do: (*storeStep).RemovesInPlace},
	{name: "LeavesFlagged", of: (*storeStep).LeavesFlagged},
	{name: "SwallowsNotFound", do: (*storeStep).SwallowsNotFound},
	{name: "PaysForOthers", do: (*storeStep).PaysForOthers},
	{name: "NoClaim", do: (*storeStep).NoClaim},
	{name: "IgnoresClaim", do: (*storeStep).IgnoresClaim},
	{name: "UnknownIsFree", of: (*storeStep).UnknownIsFree},
	{name: "ForgetsBeforeHere", do: (*storeStep).ForgetsBeforeHere},
	{name: "FlagsAnyway", do: (*storeStep).FlagsAnyway},
	{name: "ForgetsUnmoved", do: (*storeStep).ForgetsUnmoved},
	{name: "TakesFlagBack", do: (*storeStep).TakesFlagBack},
	{name: "KeepsInstance", do: (*storeStep).KeepsInstance},
	{name: "ReportsUnforgotten", do: (*storeStep).ReportsUnforgotten},
}

// buildTable makes the instances of the actions, in the order of Next.
func (m *LayerStore) buildTable() {
	for i, proc := range m.Config.Proc {
		p := Proc(i + 1)
		for _, action := range storeActions {
			a := Action{Name: action.name, Slot: action.name, Args: []string{proc}, p: p}
			if mutant, ok := m.Config.Swap[a.Name]; ok {
				at := slices.IndexFunc(storeMutants, func(a storeAction) bool { return a.name == mutant })
				if at < 0 {
					panic(unknown{"mutant", mutant})
				}
				a.Name, action = mutant, storeMutants[at]
			}
			if action.do != nil {
				m.table = append(m.table, a)
				m.do = append(m.do, func(t *storeStep) { action.do(t, p) })
				continue
			}
			for j, layer := range m.layerNames {
				x := uint8(j + 1)
				a.Args, a.i = []string{proc, layer}, x
				m.table = append(m.table, a)
				m.do = append(m.do, func(t *storeStep) { action.of(t, p, x) })
			}
		}
	}
}

func (m *LayerStore) initial() Key {
	s := storeState{whole: 2<<m.layers - 2}
	for x := uint8(1); x <= m.layers; x++ {
		if has(m.old, x) {
			s.record[x], s.place[x] = recordComplete, layerHome
		}
	}
	return packStore(&s)
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

func (m *LayerStore) newExpander() expander { return &storeStep{m: m} }

func (t *storeStep) expand(k Key, out []Step) ([]Step, uint8) {
	unpackStore(k, &t.s)
	return t.m.stepsFrom(t, &t.working, out)
}

func (t *storeStep) falseGuard(k Key, action uint16) string {
	unpackStore(k, &t.s)
	return t.m.guardOf(t, &t.working, action)
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

func (m *LayerStore) text(k Key) string {
	var s storeState
	unpackStore(k, &s)
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

func (m *LayerStore) columns() []string {
	return append(append([]string{}, m.Config.Proc...), "disk")
}

func (m *LayerStore) cells(k Key) []string {
	var s storeState
	unpackStore(k, &s)
	var cells []string
	for p := range m.Config.Proc {
		text := unquote(storePCNames[s.pc[p+1]])
		if op := s.op[p+1]; op != None {
			text = unquote(askedNames[op]) + ": " + text
		}
		if x := s.at[p+1]; x != None {
			text += " " + m.layerNames[x-1]
		} else if x := s.arg[p+1]; x != None {
			text += " for " + m.layerNames[x-1]
		}
		if s.storeLock == uint8(p+1) {
			text += ", has the store lock"
		}
		cells = append(cells, text)
	}
	disk := ""
	for x, name := range m.layerNames {
		if x > 0 {
			disk += "; "
		}
		disk += name + ": record " + unquote(recordNames[s.record[x+1]]) + ", " + unquote(layerNames[s.place[x+1]])
		if !has(s.whole, uint8(x+1)) {
			disk += ", not whole"
		}
		if p := s.claim[x+1]; p != None {
			disk += ", claimed by " + m.Config.Proc[p-1]
		}
	}
	return append(cells, disk)
}
