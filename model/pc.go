package model

import "strings"

// A PC is a process's place in the protocol.
type PC = uint8

// The values of pc[p], in the order in which a process comes to them.
const (
	Idle PC = iota
	SawLock
	SawData
	SawBoth
	Opened
	Claimed
	// CreatePCs
	Unnamed
	Locked
	Created
	Taken
	Named
	// OpenPCs: the caller has a Dir. The last four are ReplyPCs.
	Live
	Calling
	OK
	Missing
	Lost
	Failed
	// RemovePCs
	Emptying
	InsideTree
	Emptied
	Verified
	Looking
	Closing
	// UpstreamPCs
	UpstreamNamed
	UpstreamOpened
	UpstreamTaken
	Stuck
	pcCount
)

var pcNames = [pcCount]string{
	"idle", "sawLock", "sawData", "sawBoth", "opened", "claimed",
	"unnamed", "locked", "created", "taken", "named",
	"live", "calling", "ok", "missing", "lost", "failed",
	"emptying", "inside", "emptied", "verified", "looking", "closing",
	"upstreamNamed", "upstreamOpened", "upstreamTaken", "stuck",
}

// PCName returns the value of pc as the specification writes it.
func PCName(pc PC) string { return pcNames[pc] }

// A pcSet is a set of places.
type pcSet uint32

func places(pcs ...PC) (set pcSet) {
	for _, pc := range pcs {
		set |= 1 << pc
	}
	return set
}

func (set pcSet) has(pc PC) bool { return set>>pc&1 != 0 }

// String is the set as a guard of the specification would write it.
func (set pcSet) String() string {
	var names []string
	for pc := range pcCount {
		if set.has(pc) {
			names = append(names, `"`+pcNames[pc]+`"`)
		}
	}
	return "{" + strings.Join(names, ", ") + "}"
}

var (
	createPCs     = places(Unnamed, Locked, Created, Taken, Named)
	beforeDataPCs = createPCs | places(UpstreamNamed, UpstreamOpened, UpstreamTaken)
	replyPCs      = places(OK, Missing, Lost, Failed)
	openPCs       = places(Live, Calling) | replyPCs
	removePCs     = places(Emptying, InsideTree, Emptied, Verified, Looking, Closing)
	upstreamPCs   = places(UpstreamNamed, UpstreamOpened, UpstreamTaken, Stuck)
	allPCs        = places(Idle, SawLock, SawData, SawBoth, Opened, Claimed) | createPCs | openPCs | removePCs
)
