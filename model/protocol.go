package model

import (
	"slices"
	"strings"
)

// A Config is the CONSTANTS of a model of the protocol, under their names, and
// the definitions that it swaps.
type Config struct {
	Creator, Recoverer []string
	Inspector          []string // the last of the recoverers
	Upstream, Repaired []string // of the processes
	ID                 []string
	Victim, Addition   []string
	Mounted            []string
	Files              int
	Orphan             []string // of ID
	TmpFile            bool
	LockKind           string // "ofd", "posix" or "table"
	Pid                string // "Apart", "Together", "ListerTogether" or "Server"
	Package            string // "OneCopy", the default, or "TwoCopies"
	RootName           string // "OneName" or "TwoNames"
	MixedFleet         bool
	OrphanGrace        bool
	MayRelease         bool
	MaxCrashes         int
	MaxFailures        int
	Swap               map[string]string // definition: its mutant
}

type lockKind uint8

const (
	ofd lockKind = iota
	posix
	table
)

// A Protocol is LockThenData.tla, with Upstream.tla and MC.tla, for one Config.
// It is safe for concurrent use.
type Protocol struct {
	Config Config

	creators, procs, ids, items, files      uint8
	inodes                                  uint8
	upstream, repaired, orphan, allCreators uint8
	victim, addition, mounted, inspector    uint8
	tmpFile, mixedFleet                     bool
	orphanGrace, mayRelease                 bool
	lockKind                                lockKind
	pid, rootName, copyOf                   [maxProcs + 1]uint8
	sameProcess                             [maxProcs + 1]uint8
	maxCrashes, maxFailures                 uint8
	notOnDisk, noLockFile                   bool // swapped for Fresh
	leaseRunsOut, forgotten                 bool // swapped for CanLock, Free
	recovererCreates                        bool // swapped for OpenCreates

	procNames, idNames, itemNames []string // from 0
	table                         []Action
	invariants                    []check[func(*State) bool]
	stepProperties                []check[stepProperty[State]]
	refines                       bool
	what                          *TempDir
	symmetry                      []permutation
}

type check[F any] struct {
	name  string
	holds F
}

// A stepProperty says whether the step from s to n by the action is as it should be.
type stepProperty[S any] = func(a *Action, s, n *S) bool

// newProtocol makes a protocol. formula is SPECIFICATION; LiveSpec has the steps
// of Spec, MixedLiveSpec those of MixedSpec. It panics on what has no place in a
// state, since configurations are part of this package or its tests.
func newProtocol(c Config, formula, symmetry string, properties []string) *Protocol {
	m := &Protocol{
		Config: c, tmpFile: c.TmpFile, mixedFleet: c.MixedFleet,
		orphanGrace: c.OrphanGrace, mayRelease: c.MayRelease,
		creators: uint8(len(c.Creator)), ids: uint8(len(c.ID)), files: uint8(c.Files),
		maxCrashes: uint8(c.MaxCrashes), maxFailures: uint8(c.MaxFailures),
		procNames: slices.Concat(c.Creator, c.Recoverer), idNames: c.ID,
		itemNames: slices.Concat(c.Addition, c.Mounted, c.Victim), // in the order of text
		lockKind:  lockKind(slices.Index([]string{"ofd", "posix", "table"}, c.LockKind)),
	}
	m.procs, m.items = uint8(len(m.procNames)), uint8(len(m.itemNames))
	m.inodes = m.procs + m.ids // one is always free
	if c.Swap["Inode"] == "ManyInodes" {
		m.inodes = maxInodes
	}
	if m.procs > maxProcs || m.ids > maxIDs || m.items > maxItems ||
		c.Files > maxFiles || c.MaxCrashes > maxCount || c.MaxFailures > maxCount {
		panic("model: a configuration that does not fit in a Key")
	}
	if m.lockKind > table {
		panic(unknown{"kind of lock", c.LockKind})
	}
	m.upstream, m.repaired = setOf(c.Upstream, m.procNames), setOf(c.Repaired, m.procNames)
	m.allCreators = setOf(c.Creator, m.procNames)
	m.inspector = setOf(c.Inspector, m.procNames)
	m.orphan = setOf(c.Orphan, c.ID)
	m.victim, m.addition, m.mounted = setOf(c.Victim, m.itemNames), setOf(c.Addition, m.itemNames), setOf(c.Mounted, m.itemNames)
	for p := Proc(1); p <= m.procs; p++ {
		m.sameProcess[p] = 1 << p
		m.copyOf[p] = 1
		if c.Package == "TwoCopies" && has(m.inspector, p) {
			m.copyOf[p] = 2
		}
		m.pid[p] = p
		if one := m.oneProcess(c.Pid); has(one, p) {
			m.pid[p], m.sameProcess[p] = maxProcs+1, one
		}
		if c.RootName == "TwoNames" {
			m.rootName[p] = p
		}
	}
	m.notOnDisk, m.noLockFile = c.Swap["Fresh"] == "NotOnDisk", c.Swap["Fresh"] == "NoLockFile"
	m.leaseRunsOut = c.Swap["CanLock"] == "LeaseRunsOut"
	m.forgotten = c.Swap["Free"] == "Forgotten"
	m.recovererCreates = c.Swap["OpenCreates"] == "RecovererCreates"
	m.buildTable(formula)
	m.buildProperties(properties)
	m.symmetry = m.permutations(symmetry)
	return m
}

// oneProcess is the set of those that share a process: Pid of MC.tla.
func (m *Protocol) oneProcess(pid string) uint8 {
	switch pid {
	case "Together":
		return setOf(m.procNames, m.procNames)
	case "ListerTogether":
		return m.allCreators | m.inspector
	case "Server": // TLC chooses the first recoverer
		return m.allCreators | 2<<m.creators
	}
	return 0
}

func setOf(names, all []string) (set uint8) {
	for _, name := range names {
		at := slices.Index(all, name)
		if at < 0 {
			panic(unknown{"member of {" + strings.Join(all, ", ") + "}", name})
		}
		set |= 2 << at
	}
	return set
}

func (m *Protocol) creator(p Proc) bool   { return p <= m.creators }
func (m *Protocol) recoverer(p Proc) bool { return p > m.creators }

// A domain is where an action takes its arguments from.
type domain uint8

const (
	byProc domain = iota
	byProcID
	byProcItem
	byMounted
	byID
	byReleaser  // creators, if they may release
	byInspector // inspectors
	byLooker    // those that may have a lock file open and not its lock
)

type slot struct {
	name string
	of   domain
	do   func(t *step, p, i uint8)
}

func one(do func(*step, uint8)) func(*step, uint8, uint8) {
	return func(t *step, p, _ uint8) { do(t, p) }
}

// next is Next of LockThenData.tla, in its order.
var next = []slot{
	{"CallFails", byProc, one((*step).CallFails)},
	{"Crash", byProc, one((*step).Crash)},
	{"Mount", byMounted, one((*step).Mount)},
	{"OpenUnnamed", byProc, one((*step).OpenUnnamed)},
	{"TakeLock", byProc, one((*step).TakeLock)},
	{"MakeData", byProc, one((*step).MakeData)},
	{"LinkLock", byProcID, (*step).LinkLock},
	{"CreateLock", byProcID, (*step).CreateLock},
	{"List", byProcID, (*step).List},
	{"Invoke", byProcItem, (*step).Invoke},
	{"StageAddition", byProcItem, (*step).StageAddition},
	{"OpenEntry", byProcItem, (*step).OpenEntry},
	{"StageDeletion", byProc, one((*step).StageDeletion)},
	{"Commit", byProc, one((*step).Commit)},
	{"Return", byProc, one((*step).Return)},
	{"OpenDirectory", byProc, one((*step).OpenDirectory)},
	{"RemoveEntry", byProc, one((*step).RemoveEntry)},
	{"RemoveData", byProc, one((*step).RemoveData)},
	{"StatName", byProc, one((*step).StatName)},
	{"RemoveLock", byProc, one((*step).RemoveLock)},
	{"Close", byProc, one((*step).Close)},
	{"OpenLock", byProc, one((*step).OpenLock)},
	{"SkipYoung", byProc, one((*step).SkipYoung)},
	{"Release", byReleaser, one((*step).Release)},
	{"OpenToInspect", byInspector, one((*step).OpenToInspect)},
	{"LockHolder", byLooker, one((*step).LockHolder)},
}

// What SweptSpec, CleanedSpec and MixedNext add.
var (
	sweptNext   = []slot{{"Sweep", byID, one((*step).Sweep)}}
	cleanedNext = []slot{{"TakesLockFile", byID, one((*step).TakesLockFile)}}
	mixedNext   = []slot{
		{"UpstreamCreateLock", byProcID, (*step).UpstreamCreateLock},
		{"UpstreamOpenLock", byProc, one((*step).UpstreamOpenLock)},
		{"UpstreamTakeLock", byProc, one((*step).UpstreamTakeLock)},
		{"UpstreamStatName", byProc, one((*step).UpstreamStatName)},
		{"UpstreamRemoveLock", byProc, one((*step).UpstreamRemoveLock)},
		{"UpstreamCallFails", byProc, one((*step).UpstreamCallFails)},
	}
)

// mutants are the definitions of Mutants*.tla that replace an action.
var mutants = map[string]func(t *step, p, i uint8){
	"NameBeforeLock":        one((*step).NameBeforeLock),
	"CreatorTrustsLock":     one((*step).CreatorTrustsLock),
	"DataBeforeLock":        (*step).DataBeforeLock,
	"OneNotFound":           one((*step).OneNotFound),
	"MovesFileByFile":       one((*step).MovesFileByFile),
	"FailureKeepsLock":      one((*step).FailureKeepsLock),
	"FailedCreateKeepsLock": one((*step).FailedCreateKeepsLock),
	"RecovererTrustsLock":   one((*step).RecovererTrustsLock),
	"NoLastRecheck":         one((*step).NoLastRecheck),
	"RemembersNumber":       one((*step).RemembersNumber),
	"NoRecheckAfterLock":    one((*step).NoRecheckAfterLock),
	"OpenLockCreates":       one((*step).OpenLockCreates),
	"LinkReplaces":          (*step).LinkReplaces,
	"AdoptsUnlocked":        one((*step).AdoptsUnlocked),
	"LockFileFirst":         one((*step).LockFileFirst),
	"LockInsideData":        one((*step).LockInsideData),
	"UnlockThenUnlink":      one((*step).UnlockThenUnlink),
	"CrossesMounts":         (*step).CrossesMounts,
	"FailureUnlinks":        one((*step).FailureUnlinks),
	"MissingDataFails":      one((*step).MissingDataFails),
	"ClosesAnyway":          one((*step).ClosesAnyway),
	"InspectorCloses":       one((*step).InspectorCloses),
	"InspectsYoung":         one((*step).InspectsYoung),
	"ClosesParked":          one((*step).ClosesParked),
	"ListsOnChange":         (*step).ListsOnChange,
	"ListsLocksOnly":        (*step).ListsLocksOnly,
	"FinishesCommit":        (*step).FinishesCommit,
	"PutsVictimBack":        (*step).PutsVictimBack,
	"CreatesLockOpen":       (*step).CreatesLockOpen,
	"ClosesThenOpens":       one((*step).ClosesThenOpens),
}

// takes says whether p is of the domain: an action that only some models have is
// not in the table of the others.
func (m *Protocol) takes(of domain, p Proc) bool {
	switch of {
	case byReleaser:
		return m.mayRelease && m.creator(p)
	case byInspector:
		return has(m.inspector, p)
	case byLooker:
		return has(m.inspector, p) || m.looks(p)
	}
	return true
}

// buildTable makes the instances of the actions.
func (m *Protocol) buildTable(formula string) {
	slots := slices.Clone(next)
	switch formula {
	case "SweptSpec":
		slots = append(slots, sweptNext...)
	case "CleanedSpec":
		slots = append(slots, cleanedNext...)
	case "MixedSpec", "MixedLiveSpec":
		slots = append(slots, mixedNext...)
	}
	for n, s := range slots {
		a := Action{Name: s.name, Slot: s.name, slot: uint8(n), of: s.of, do: s.do}
		if mutant, ok := m.Config.Swap[s.name]; ok {
			a.Name, a.do = mutant, mutants[mutant]
			if a.do == nil {
				panic(unknown{"mutant", mutant})
			}
		}
		add := func(p, i uint8, args ...string) {
			a.p, a.i, a.Args = p, i, args
			m.table = append(m.table, a)
		}
		switch s.of {
		case byMounted:
			for x, name := range m.itemNames {
				if has(m.mounted, uint8(x+1)) {
					add(uint8(x+1), 0, name)
				}
			}
			continue
		case byID:
			for i, name := range m.idNames {
				add(uint8(i+1), 0, name)
			}
			continue
		}
		for p, proc := range m.procNames {
			if !m.takes(s.of, Proc(p+1)) {
				continue
			}
			second := []string{}
			switch s.of {
			case byProc, byReleaser, byInspector, byLooker:
				add(uint8(p+1), 0, proc)
			case byProcID:
				second = m.idNames
			case byProcItem:
				second = m.itemNames
			}
			for i, name := range second {
				add(uint8(p+1), uint8(i+1), proc, name)
			}
		}
	}
}
