//go:build linux

package conformance

import (
	"fmt"
	"slices"

	"github.com/afterlock/afterlock/model"
)

// A step is an action of the model, with its arguments as numbers.
type step struct {
	model.Action
	slot slot
	proc model.Proc
	id   model.ID
	item model.Item
}

// A slot is an action of the specification's Next, as a number.
type slot uint8

const (
	noSlot slot = iota
	callFails
	crash
	mount
	sweep
	openUnnamed
	takeLock
	makeData
	linkLock
	createLock
	list
	invoke
	stageAddition
	openEntry
	stageDeletion
	commit
	returns
	openDirectory
	removeEntry
	removeData
	statName
	removeLock
	closes
	openLock
	skipYoung
	release
	openToInspect
	lockHolder
	upstreamCreateLock
	upstreamOpenLock
	upstreamTakeLock
	upstreamStatName
	upstreamRemoveLock
	upstreamCallFails
)

var slots = map[string]slot{
	"CallFails": callFails, "Crash": crash, "Mount": mount, "Sweep": sweep, "OpenUnnamed": openUnnamed,
	"TakeLock": takeLock, "MakeData": makeData, "LinkLock": linkLock, "CreateLock": createLock, "List": list,
	"Invoke": invoke, "StageAddition": stageAddition, "OpenEntry": openEntry, "StageDeletion": stageDeletion,
	"Commit": commit, "Return": returns, "OpenDirectory": openDirectory, "RemoveEntry": removeEntry,
	"RemoveData": removeData, "StatName": statName, "RemoveLock": removeLock, "Close": closes,
	"OpenLock": openLock, "SkipYoung": skipYoung, "Release": release,
	"OpenToInspect": openToInspect, "LockHolder": lockHolder,
	"UpstreamCreateLock": upstreamCreateLock, "UpstreamOpenLock": upstreamOpenLock, "UpstreamTakeLock": upstreamTakeLock,
	"UpstreamStatName": upstreamStatName, "UpstreamRemoveLock": upstreamRemoveLock, "UpstreamCallFails": upstreamCallFails,
}

// steps resolves the actions of a model.
func steps(c *model.Config, actions []model.Action) ([]step, error) {
	procs, items := procNames(c), itemNames(c)
	table := make([]step, len(actions))
	for i, a := range actions {
		s := step{Action: a, slot: slots[a.Slot]}
		if s.slot == noSlot {
			return nil, fmt.Errorf("no conformance for the action %s", a.Slot)
		}
		for _, arg := range a.Args {
			if at := slices.Index(procs, arg); at >= 0 {
				s.proc = model.Proc(at + 1)
			} else if at := slices.Index(c.ID, arg); at >= 0 {
				s.id = model.ID(at + 1)
			} else if at := slices.Index(items, arg); at >= 0 {
				s.item = model.Item(at + 1)
			}
		}
		table[i] = s
	}
	return table, nil
}

// procNames and itemNames are in the order of the numbers of package model.
func procNames(c *model.Config) []string { return slices.Concat(c.Creator, c.Recoverer) }
func itemNames(c *model.Config) []string { return slices.Concat(c.Addition, c.Mounted, c.Victim) }
