package model

import (
	"slices"
	"strings"
)

// This file is PowerLoss.tla, its durability models: what is left of the
// operations that were not yet durable. Its steps are in powerloss_steps.go.

// A PowerConfig is the CONSTANTS of a model of power loss.
type PowerConfig struct {
	Durability string   // "ordered", "perDirectory" or "weak"
	Syncs      []string // of "flag", "source", "record", "data", "here"
	InPlace    bool     // the layer is removed where it is
	Kills      bool     // the program can be killed
	Loose      bool     // the layer is a file
	Files      int
	MaxLosses  int
	Swap       map[string]string
}

// names of one tree: the variables cache and disk.
type diskTree struct {
	lock, data           bool
	layer, files, record uint8
}

// Values of layer, as sets of names, and of record.
const (
	powerHome = 1 << iota
	powerEntry
)

var (
	powerLayerNames = []string{`"gone"`, `"home"`, `"entry"`, `"both"`}
	// The record's values are those of LayerStore.tla.
	powerRecordNames = recordNames
)

// Operations, from 1, so that a log can be a number.
const (
	opLinkLock = 1 + iota
	opMakeData
	opStageDeletion
	opRemoveEntry
	opRemoveLayer
	opRemoveData
	opRemoveLock
	opFlag
	opForget
	opRemoveHome
	opArrive
	opLeave
)

var powerOpNames = []string{"", "LinkLock", "MakeData", "StageDeletion", "RemoveEntry", "RemoveLayer",
	"RemoveData", "RemoveLock", "Flag", "Forget", "RemoveHome", "Arrive", "Leave"}

// apply is Apply: what an operation does to a tree of names.
func (t diskTree) apply(op uint8) diskTree {
	switch op {
	case opLinkLock:
		t.lock = true
	case opMakeData:
		t.data = true
	case opStageDeletion:
		t.layer = powerEntry
	case opArrive:
		t.layer |= powerEntry
	case opLeave, opRemoveHome:
		t.layer &^= powerHome
	case opRemoveEntry:
		t.files--
	case opRemoveLayer:
		t.layer &^= powerEntry
	case opRemoveData:
		t.data = false
	case opRemoveLock:
		t.lock = false
	case opFlag:
		t.record = recordIncomplete
	case opForget:
		t.record = recordNone
	}
	return t
}

// atHome and atEntry are AtHome and AtEntry.
func (t diskTree) atHome() bool  { return t.layer&powerHome != 0 }
func (t diskTree) atEntry() bool { return t.layer&powerEntry != 0 }

// Directories and names, as sets.
const (
	inRoot = 1 << iota
	inLayers
	inData
	inLayer
	inMetadata

	nameLock = 1 << (iota - 5)
	nameData
	nameLayer
	nameFiles
	nameRecord
	nameMoved
)

// powerDirs is Dirs, powerNames is Names, by operation.
var (
	powerDirs = []uint8{0, inRoot, inRoot, inLayers | inData, inLayer, inData, inRoot, inRoot, inMetadata, inMetadata,
		inLayers, inData, inLayers}

	powerNames = []uint8{0, nameLock, nameData, nameData | nameLayer, nameFiles, nameLayer | nameFiles,
		nameData | nameLayer, nameLock, nameRecord, nameRecord,
		nameLayer | nameFiles, nameData | nameLayer | nameMoved, nameMoved}
)

// parts is Parts: the halves of an operation of which the first may survive alone.
func (m *PowerLoss) parts(op uint8) []uint8 {
	if op == opStageDeletion && m.Config.Loose && m.Config.Durability == "weak" {
		return []uint8{opArrive, opLeave}
	}
	return []uint8{op}
}

// carries is Carries: does the later operation b survive only together with
// the earlier one a?
func (m *PowerLoss) carries(a, b uint8) bool {
	return m.Config.Durability == "ordered" ||
		m.Config.Durability == "perDirectory" && powerDirs[a]&powerDirs[b] != 0 ||
		powerNames[a]&powerNames[b] != 0
}

// surviving calls visit for every set of operations of the log that may be
// durable together: Surviving.
func (m *PowerLoss) surviving(log []uint8, visit func(set uint32)) {
	var choose func(j int, set uint32)
	choose = func(j int, set uint32) {
		if j == len(log) {
			visit(set)
			return
		}
		choose(j+1, set)
		for i := range j {
			if m.carries(log[i], log[j]) && set>>i&1 == 0 {
				return
			}
		}
		choose(j+1, set|1<<j)
	}
	choose(0, 0)
}

// syncSet is SyncSet: the smallest surviving set with every operation on the
// directory.
func (m *PowerLoss) syncSet(log []uint8, dir uint8) (set uint32) {
	for j := len(log) - 1; j >= 0; j-- {
		if powerDirs[log[j]]&dir != 0 {
			set |= 1 << j
		}
		if set>>j&1 == 0 {
			continue
		}
		for i := range j {
			if m.carries(log[i], log[j]) {
				set |= 1 << i
			}
		}
	}
	return set
}

// applyAll is ApplyAll: the operations of the set, in the order of the log.
func applyAll(t diskTree, log []uint8, set uint32) diskTree {
	for i, op := range log {
		if set>>i&1 != 0 {
			t = t.apply(op)
		}
	}
	return t
}

// without is Without: the log without the operations of the set.
func without(log []uint8, set uint32) (left []uint8) {
	for i, op := range log {
		if set>>i&1 == 0 {
			left = append(left, op)
		}
	}
	return left
}

func (t diskTree) pack() uint64 {
	bit := func(b bool) uint64 {
		if b {
			return 1
		}
		return 0
	}
	return bit(t.lock) | bit(t.data)<<1 | uint64(t.layer)<<2 | uint64(t.files)<<4 | uint64(t.record)<<6
}

func unpackTree(x uint64) diskTree {
	return diskTree{x&1 != 0, x&2 != 0, uint8(x >> 2 & 3), uint8(x >> 4 & 3), uint8(x >> 6 & 3)}
}

func (t diskTree) text() string {
	word := func(b bool) string { return strings.ToUpper(map[bool]string{false: "false", true: "true"}[b]) }
	return `["data"->` + word(t.data) + `,"files"->` + []string{"0", "1", "2", "3"}[t.files] +
		`,"layer"->` + powerLayerNames[t.layer] + `,"lock"->` + word(t.lock) +
		`,"record"->` + powerRecordNames[t.record] + `]`
}

// survivors are the trees that may be on disk after power loss, each once, in
// an order that means nothing.
func (m *PowerLoss) survivors(disk diskTree, log []uint8) []diskTree {
	var packed []uint64
	m.surviving(log, func(set uint32) { packed = append(packed, applyAll(disk, log, set).pack()) })
	slices.Sort(packed)
	var trees []diskTree
	for _, x := range slices.Compact(packed) {
		trees = append(trees, unpackTree(x))
	}
	return trees
}
