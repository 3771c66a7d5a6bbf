package model

import (
	"slices"
	"strconv"
)

// newLayerStore makes a layer store; it panics on a wrong configuration.
func newLayerStore(c StoreConfig, symmetry string, properties []string) *LayerStore {
	m := &LayerStore{Config: c, procs: uint8(len(c.Proc)), maxCrashes: uint8(c.MaxCrashes),
		layerNames: slices.Concat(c.Old, c.New)}
	m.layers = uint8(len(m.layerNames))
	if m.procs > maxProcs || m.layers > maxLayers || m.maxCrashes > maxCount {
		panic("model: a configuration that does not fit in a Key")
	}
	m.old = setOf(c.Old, m.layerNames)
	if symmetry == "Symmetry" {
		m.symmetry = orders(1, m.procs)[1:]
	}
	m.choose(properties, map[string]func(*storeState) bool{
		"TypeOK": m.TypeOK, "RemovesUnlocked": m.RemovesUnlocked, "DeletedStaysGone": m.DeletedStaysGone,
		"WholeOrFlagged": m.WholeOrFlagged, "NoLeak": m.NoLeak, "HomeWhole": m.HomeWhole,
		"NoFinishedByOther": m.NoFinishedByOther, "NoRemovalWhileLocked": m.NoRemovalWhileLocked,
		"NoDeletion": m.NoDeletion, "NoCreation": m.NoCreation,
	})
	m.buildTable()
	return m
}

// buildTable makes the instances of the actions, in the order of Next.
func (m *LayerStore) buildTable() {
	ofProc := map[string]func(*storeStep, Proc){
		"RemovesUnderLock": (*storeStep).RemovesUnderLock, "RecoversUnderLock": (*storeStep).RecoversUnderLock,
		"NoFlag": (*storeStep).NoFlag, "ForgetsFirst": (*storeStep).ForgetsFirst,
		"CompletesFirst": (*storeStep).CompletesFirst, "RemovesInPlace": (*storeStep).RemovesInPlace,
		"SwallowsNotFound": (*storeStep).SwallowsNotFound,
	}
	for i, proc := range m.Config.Proc {
		p := Proc(i + 1)
		add := func(name string, do func(*storeStep, Proc)) {
			a := Action{Name: name, Slot: name, Args: []string{proc}, p: p}
			if mutant, ok := m.Config.Swap[name]; ok {
				a.Name, do = mutant, ofProc[mutant]
			}
			m.table = append(m.table, a)
			m.do = append(m.do, func(t *storeStep) { do(t, p) })
		}
		addEach := func(name string, do func(*storeStep, Proc, uint8)) {
			a := Action{Name: name, Slot: name, p: p}
			if m.Config.Swap[name] == "LeavesFlagged" {
				a.Name, do = "LeavesFlagged", (*storeStep).LeavesFlagged
			}
			for j, layer := range m.layerNames {
				x := uint8(j + 1)
				a.Args, a.i = []string{proc, layer}, x
				m.table = append(m.table, a)
				m.do = append(m.do, func(t *storeStep) { do(t, p, x) })
			}
		}
		add("Load", (*storeStep).Load)
		addEach("FinishFlagged", (*storeStep).FinishFlagged)
		add("TakeStoreLock", (*storeStep).TakeStoreLock)
		add("Flag", (*storeStep).Flag)
		add("Stage", (*storeStep).Stage)
		add("Forget", (*storeStep).Forget)
		add("Commit", (*storeStep).Commit)
		add("Complete", (*storeStep).Complete)
		add("DropStoreLock", (*storeStep).DropStoreLock)
		add("Remove", (*storeStep).Remove)
		add("Crash", (*storeStep).Crash)
		addEach("Delete", (*storeStep).Delete)
		addEach("Create", (*storeStep).Create)
		addEach("Recover", (*storeStep).Recover)
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
			n.owner[x] = rename(s.owner[x])
		}
		for p := Proc(1); p <= m.procs; p++ {
			n.pc[rename(p)], n.arg[rename(p)] = s.pc[p], s.arg[p]
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

// fair is the fairness of LiveSpec: WF(Step(p)), SF(TakeStoreLock(p)), WF of
// any Load, SF of any Recover of each layer.
func (m *LayerStore) fair() (of func(from Key, action uint16, to Key) uint64, all, strong uint64) {
	step := func(p Proc) uint64 { return 1 << (p - 1) }
	lock := func(p Proc) uint64 { return 1 << (m.procs + p - 1) }
	recover := func(x uint8) uint64 { return 1 << (2*m.procs + x - 1) }
	load := uint64(1) << (2*m.procs + m.layers)
	for p := Proc(1); p <= m.procs; p++ {
		all |= step(p)
		strong |= lock(p)
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
		case "Crash", "Delete", "Create":
			return 0
		case "TakeStoreLock":
			return step(a.p) | lock(a.p)
		default:
			return step(a.p)
		}
	}, all | strong | load, strong
}

func (m *LayerStore) goals() []func(Key) bool {
	return []func(Key) bool{func(k Key) bool {
		var s storeState
		unpackStore(k, &s)
		return !s.incomplete() && !slices.Contains(s.place[1:], layerStaged)
	}}
}

func (m *LayerStore) text(k Key) string {
	var s storeState
	unpackStore(k, &s)
	procs := m.Config.Proc
	var b []byte
	b = append(b, "arg="...)
	b = appendFunction(b, procs, func(p int) string { return nameOf(m.layerNames, s.arg[p]) })
	b = append(b, "\ncrashes="...)
	b = strconv.AppendUint(b, uint64(s.crashes), 10)
	b = append(append(b, "\ndeleted="...), setText(s.deleted, m.layerNames, ",")...)
	b = append(b, "\nowner="...)
	b = appendFunction(b, m.layerNames, func(x int) string { return nameOf(procs, s.owner[x]) })
	b = append(b, "\npc="...)
	b = appendFunction(b, procs, func(p int) string { return storePCNames[s.pc[p]] })
	b = append(b, "\nplace="...)
	b = appendFunction(b, m.layerNames, func(x int) string { return layerNames[s.place[x]] })
	b = append(b, "\nrecord="...)
	b = appendFunction(b, m.layerNames, func(x int) string { return recordNames[s.record[x]] })
	b = append(append(b, "\nstoreLock="...), nameOf(procs, s.storeLock)...)
	b = append(append(b, "\nwhole="...), setText(s.whole, m.layerNames, ",")...)
	return string(b)
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
		if x := s.arg[p+1]; x != None {
			text += " " + m.layerNames[x-1]
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
	}
	return append(cells, disk)
}
