package model

// This file is StoreState.tla: a small layer store on top of temporary
// directories, its constants, its variables, and the words of its actions.

// A StoreConfig is the CONSTANTS of a model of the layer store.
type StoreConfig struct {
	Proc                    []string
	Old, New                []string // layers
	OneId                   bool     // all layers have one id
	MaxCrashes, MaxFailures int
	Handle                  []string // of Proc: StoreGroup.tla; nil: LayerStore.tla
	Swap                    map[string]string
}

// Places of a layer's record, of a layer, and of a process.
const (
	recordNone = iota
	recordIncomplete
	recordComplete
)

const (
	layerAbsent = iota
	layerHome
	layerStaged
	layerGone
)

const (
	storeIdle = iota
	storeWaiting
	storeLoading
	storeFlag
	storeStage
	storeUnflag
	storeForget
	storeRelease
	storeCommit
	storeComplete
	storeUnlock
	storeRemove
	storeClaim
	storeRemoveHere
	storeAgain
	storeForgetHere
)

// What a process was asked to do; 0 is None.
const (
	askedDelete = 1 + iota
	askedCreate
	askedUpdate
	askedLoad
	askedRecover
)

var (
	recordNames  = []string{`"none"`, `"incomplete"`, `"complete"`}
	layerNames   = []string{`"absent"`, `"home"`, `"staged"`, `"gone"`}
	storePCNames = []string{`"idle"`, `"waiting"`, `"loading"`, `"flag"`, `"stage"`, `"unflag"`, `"forget"`, `"release"`,
		`"commit"`, `"complete"`, `"unlock"`, `"remove"`, `"claim"`, `"removeHere"`, `"again"`, `"forgetHere"`}
	askedNames = []string{"None", `"delete"`, `"create"`, `"update"`, `"load"`, `"recover"`}
)

const maxLayers = 3

// storeState is the variables of StoreState.tla; indices are from 1, sets of
// layers have bit x for layer x.
type storeState struct {
	record, place, owner, claim [maxLayers + 1]uint8
	whole, deleted              uint8
	storeLock                   uint8
	pc, op, arg, at, tried      [maxProcs + 1]uint8
	crashes, failures           uint8
}

func packStore(s *storeState) Key {
	return Key{
		gather(s.record[:], 2)>>2 | gather(s.place[:], 2)>>2<<6 | gather(s.owner[:], 3)>>3<<12 | gather(s.claim[:], 3)>>3<<21 |
			uint64(s.whole>>1)<<30 | uint64(s.deleted>>1)<<33 | uint64(s.storeLock)<<36 |
			uint64(s.crashes)<<39 | uint64(s.failures)<<41 | gather(s.arg[1:], 2)<<43 | gather(s.at[1:], 2)<<51,
		gather(s.pc[1:], 4) | gather(s.op[1:], 3)<<16 | gather(s.tried[1:], 4)<<28,
	}
}

func unpackStore(k Key, s *storeState) {
	scatter(k[0]&(1<<6-1)<<2, 2, s.record[:])
	scatter(k[0]>>6&(1<<6-1)<<2, 2, s.place[:])
	scatter(k[0]>>12&(1<<9-1)<<3, 3, s.owner[:])
	scatter(k[0]>>21&(1<<9-1)<<3, 3, s.claim[:])
	s.whole, s.deleted = uint8(k[0]>>30&7)<<1, uint8(k[0]>>33&7)<<1
	s.storeLock = uint8(k[0] >> 36 & 7)
	s.crashes, s.failures = uint8(k[0]>>39&3), uint8(k[0]>>41&3)
	scatter(k[0]>>43, 2, s.arg[1:])
	scatter(k[0]>>51, 2, s.at[1:])
	scatter(k[1], 4, s.pc[1:])
	scatter(k[1]>>16, 3, s.op[1:])
	scatter(k[1]>>28, 4, s.tried[1:])
}

// A LayerStore is LayerStore.tla for one StoreConfig. It is safe for concurrent
// use.
type LayerStore struct {
	Config StoreConfig

	procs, layers           uint8
	handle                  uint8 // a set of processes
	maxCrashes, maxFailures uint8
	layerNames              []string
	symmetry                [][]uint8
	tabled[storeState, storeStep]
}

// incomplete is Incomplete, as a set.
func (m *LayerStore) incomplete(s *storeState) (set uint8) {
	for x := uint8(1); x <= m.layers; x++ {
		if s.record[x] == recordIncomplete {
			set |= 1 << x
		}
	}
	return set
}

// twins is Twins: the layers that have the id of x.
func (m *LayerStore) twins(x uint8) uint8 {
	if m.Config.OneId {
		return 2<<m.layers - 2
	}
	return 1 << x
}

// there is There: what is at the path of x.
func (m *LayerStore) there(s *storeState, x uint8) (set uint8) {
	for y := uint8(1); y <= m.layers; y++ {
		if has(m.twins(x), y) && s.place[y] == layerHome {
			set |= 1 << y
		}
	}
	return set
}

// free is Free: nothing has the id of x, flagged or not, and nothing is there.
func (m *LayerStore) free(s *storeState, x uint8) bool {
	flaggedIsFree := m.Config.Swap["Free"] == "FlaggedIsFree"
	return m.there(s, x) == 0 && m.all(func(y uint8) bool {
		return !has(m.twins(x), y) || s.record[y] == recordNone || flaggedIsFree && s.record[y] == recordIncomplete
	})
}

// own is Own: is the layer in hand p's own business?
func (s *storeState) own(p Proc) bool { return s.at[p] == s.arg[p] || s.op[p] == askedLoad }

// put is Put, for the layers of the set.
func (s *storeState) put(set, where uint8) {
	for x := range s.place {
		if has(set, uint8(x)) {
			s.place[x] = where
		}
	}
}

// hold is Hold, of the owners.
func (s *storeState) hold(set uint8, p Proc) {
	for x := range s.owner {
		if has(set, uint8(x)) {
			s.owner[x] = p
		}
	}
}

// letGo is Without, of the owners or the claims.
func letGo(held *[maxLayers + 1]uint8, p Proc) {
	for x := range held {
		if held[x] == p {
			held[x] = None
		}
	}
}

// goOn is GoOn: p has the store lock.
func (m *LayerStore) goOn(s *storeState, p Proc) {
	if m.incomplete(s)&^s.tried[p] != 0 {
		s.pc[p] = storeLoading
	} else {
		m.begin(s, p)
	}
}

// begin is Begin: p does what it was asked.
func (m *LayerStore) begin(s *storeState, p Proc) {
	x := s.arg[p]
	s.at[p], s.pc[p] = x, storeUnlock
	if s.op[p] == askedDelete && s.record[x] == recordComplete || s.op[p] == askedCreate && m.free(s, x) {
		s.pc[p] = storeFlag
	}
}

// end is End: p is done with the layer in hand.
func (s *storeState) end(p Proc) {
	if s.at[p] == s.arg[p] {
		s.pc[p], s.op[p], s.arg[p], s.tried[p] = storeIdle, None, None, 0
	} else {
		s.pc[p] = storeWaiting
	}
	s.at[p] = None
	letGo(&s.claim, p)
}
