package model

// This file is the part of TempDir.tla that a caller sees of one tree: what its
// actions make of item[x]. The actions in tempdir.go take it from here, and so
// do the models that histories are judged by.

// An ItemState is a value of item[x] of TempDir.tla.
type ItemState uint8

// The values of item[x].
const (
	ItemAbsent ItemState = itemAbsent // not made yet
	ItemLive   ItemState = itemLive   // its caller can reach it
	ItemStaged ItemState = itemStaged // moved aside, or not committed yet
	ItemGone   ItemState = itemGone   // for good
)

// String is the value as the specification writes it, without quotes.
func (s ItemState) String() string {
	name := itemNames[s]
	return name[1 : len(name)-1]
}

// An ItemAction is an action of TempDir.tla that changes item[x].
type ItemAction uint8

// The actions that change item[x].
const (
	ItemFill   ItemAction = iota // somebody makes the tree inside an open directory
	ItemCommit                   // all of it becomes live at once
	ItemDelete                   // it is moved aside
	ItemReap                     // it is removed
)

// itemSteps are from and to of every ItemAction.
var itemSteps = [...][2]ItemState{
	ItemFill:   {ItemAbsent, ItemStaged},
	ItemCommit: {ItemStaged, ItemLive},
	ItemDelete: {ItemLive, ItemStaged},
	ItemReap:   {ItemStaged, ItemGone},
}

// ItemStep returns what the action makes of a tree in this state; enabled is
// false if it is not possible. Whose the tree is is another guard of the
// specification, and the caller's to ask.
func ItemStep(a ItemAction, from ItemState) (to ItemState, enabled bool) {
	return itemSteps[a][1], itemSteps[a][0] == from
}

// step does the action to tree x, and reports whether it was possible.
func (n *whatState) step(a ItemAction, x Item) bool {
	to, enabled := ItemStep(a, ItemState(n.item[x]))
	if enabled {
		n.item[x] = uint8(to)
	}
	return enabled
}
