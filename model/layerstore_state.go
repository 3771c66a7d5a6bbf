package model

import "slices"

// This file is the constants and variables of LayerStore.tla: a small layer
// store on top of temporary directories.

// A StoreConfig is the CONSTANTS of a model of the layer store.
type StoreConfig struct {
	Proc       []string
	Old, New   []string // layers
	MaxCrashes int
	Swap       map[string]string
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
	toDelete
	toCreate
	toLoad
	loading
	storeFlag
	storeStage
	storeForget
	storeCommit
	storeComplete
	storeUnlock
	storeRemove
)

var (
	recordNames  = []string{`"none"`, `"incomplete"`, `"complete"`}
	layerNames   = []string{`"absent"`, `"home"`, `"staged"`, `"gone"`}
	storePCNames = []string{`"idle"`, `"toDelete"`, `"toCreate"`, `"toLoad"`, `"loading"`, `"flag"`,
		`"stage"`, `"forget"`, `"commit"`, `"complete"`, `"unlock"`, `"remove"`}
)

const maxLayers = 3

// storeState is the variables of LayerStore.tla; indices are from 1.
type storeState struct {
	record, place, owner [maxLayers + 1]uint8
	whole, deleted       uint8
	storeLock            uint8
	pc, arg              [maxProcs + 1]uint8
	crashes              uint8
}

func packStore(s *storeState) Key {
	return Key{
		gather(s.record[:], 2)>>2 | gather(s.place[:], 2)>>2<<6 | gather(s.owner[:], 3)>>3<<12 |
			uint64(s.whole>>1)<<21 | uint64(s.deleted>>1)<<24 | uint64(s.storeLock)<<27 |
			gather(s.pc[1:], 4)<<30 | gather(s.arg[1:], 2)<<46 | uint64(s.crashes)<<54,
	}
}

func unpackStore(k Key, s *storeState) {
	scatter(k[0]&(1<<6-1)<<2, 2, s.record[:])
	scatter(k[0]>>6&(1<<6-1)<<2, 2, s.place[:])
	scatter(k[0]>>12&(1<<9-1)<<3, 3, s.owner[:])
	s.whole, s.deleted = uint8(k[0]>>21&7)<<1, uint8(k[0]>>24&7)<<1
	s.storeLock = uint8(k[0] >> 27 & 7)
	scatter(k[0]>>30, 4, s.pc[1:])
	scatter(k[0]>>46, 2, s.arg[1:])
	s.crashes = uint8(k[0] >> 54 & 3)
}

// A LayerStore is LayerStore.tla for one StoreConfig. It is safe for concurrent
// use.
type LayerStore struct {
	Config StoreConfig

	procs, layers uint8
	old           uint8
	maxCrashes    uint8
	layerNames    []string
	symmetry      [][]uint8
	tabled[storeState, storeStep]
}

func (s *storeState) incomplete() bool { return slices.Contains(s.record[1:], recordIncomplete) }
