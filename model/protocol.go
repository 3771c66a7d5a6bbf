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
	scheme                                  scheme
	pid, rootName, copyOf                   [maxProcs + 1]uint8
	sameProcess                             [maxProcs + 1]uint8
	maxCrashes, maxFailures                 uint8
	notOnDisk, noLockFile                   bool // swapped for Fresh
	leaseRunsOut, forgotten                 bool // swapped for CanLock, Free
	recovererCreates                        bool // swapped for OpenCreates
	anyAge                                  bool // swapped for TooOld

	procNames, idNames, itemNames []string // from 0
	symmetry                      []permutation
	tabled[State, step]
}

// newProtocol makes a protocol. formula is SPECIFICATION; LiveSpec has the steps
// of Spec, MixedLiveSpec those of MixedSpec. It panics on what has no place in a
// state, since configurations are part of this package or its tests.
func newProtocol(c Config, of scheme, formula, symmetry string, properties []string) *Protocol {
	m := &Protocol{
		Config: c, scheme: of, tmpFile: c.TmpFile, mixedFleet: c.MixedFleet,
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
	m.anyAge = c.Swap["TooOld"] == "AnyAge"
	m.symmetry = m.permutations(symmetry)
	m.start, m.unpack, m.write, m.tabled.procs = m.init(), unpack, m.textOf, m.procNames
	if m.key = pack; len(m.symmetry) > 0 {
		m.key = m.canonical
	}
	m.buildTable(formula)
	m.buildProperties(properties)
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

// A domain is where some actions take their arguments from.
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

type slots struct {
	of    domain
	names []string
}

// next is Next of LockThenData.tla, in its order.
var next = []slots{
	{byProc, []string{"CallFails", "Crash"}},
	{byMounted, []string{"Mount"}},
	{byProc, []string{"OpenUnnamed", "TakeLock", "MakeData"}},
	{byProcID, []string{"LinkLock", "CreateLock", "List"}},
	{byProcItem, []string{"Invoke", "StageAddition", "OpenEntry"}},
	{byProc, []string{"StageDeletion", "Commit", "Return", "OpenDirectory", "RemoveEntry", "RemoveData", "StatName", "RemoveLock", "Close",
		"OpenLock", "SkipYoung"}},
	{byReleaser, []string{"Release"}},
	{byInspector, []string{"OpenToInspect"}},
	{byLooker, []string{"LockHolder"}},
}

// more is what SweptSpec, CleanedSpec and MixedNext add.
var more = map[string][]slots{
	SweptSpec:   {{byID, []string{"Sweep"}}},
	CleanedSpec: {{byID, []string{"TakesLockFile"}}},
	MixedSpec: {{byProcID, []string{"UpstreamCreateLock"}},
		{byProc, []string{"UpstreamOpenLock", "UpstreamTakeLock", "UpstreamStatName", "UpstreamRemoveLock", "UpstreamCallFails"}}},
}

// arguments are what actions of the domain take theirs from: an action that only some
// models have is not in the table of the others.
func (m *Protocol) arguments(of domain) [][]string {
	switch of {
	case byProcID:
		return [][]string{m.procNames, m.idNames}
	case byProcItem:
		return [][]string{m.procNames, m.itemNames}
	case byMounted:
		return [][]string{only(m.mounted, m.itemNames)}
	case byID:
		return [][]string{m.idNames}
	}
	var set uint8
	for p := Proc(1); p <= m.procs; p++ {
		if of == byProc || of == byReleaser && m.mayRelease && m.creator(p) || of == byInspector && has(m.inspector, p) ||
			of == byLooker && (has(m.inspector, p) || m.looks(p)) {
			set |= 1 << p
		}
	}
	return [][]string{only(set, m.procNames)}
}

// buildTable makes the instances of the actions.
func (m *Protocol) buildTable(formula string) {
	all := slices.Concat(next, more[strings.Replace(formula, "MixedLive", "Mixed", 1)])
	if m.scheme != noScheme {
		all = peerNext
	}
	for _, s := range all {
		for _, name := range s.names {
			m.add(name, m.Config.Swap, m.arguments(s.of)...)
		}
	}
}

func (m *Protocol) newExpander() expander {
	t := &step{m: m}
	return m.expands(t, &t.working)
}
