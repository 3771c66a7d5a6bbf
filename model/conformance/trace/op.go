package trace

import "math"

// Sizes of the model: what a State has room for.
const (
	maxFiles = 3
	maxItems = 3
	maxSlots = 4 // processes on one id at a time
)

// never is the ticket of what did not happen.
const never = math.MaxUint64

// An opKind is what a call meant to the protocol: a method, the part it plays,
// and its result. Each is one action of the model, or a few in a row of which
// nobody else can observe more than one; apply.go says which.
type opKind uint8

const (
	opSawLock opKind = iota
	opSawData
	opOpenUnnamed
	opCreateLock
	opCreateLockTaken
	opOpenLock
	opOpenLockGone
	opTakeLock
	opTakeLockBusy
	opLinkLock
	opLinkLockTaken
	opIsNamed
	opIsNotNamed
	opRemoveLock
	opRemoveLockGone
	opMakeData
	opMakeDataTaken
	opStage
	opStageMissing
	opStageFails
	opCommit
	opCommitFails
	opOpenData
	opOpenDataGone
	opOpenEntry
	opRemoveEntry
	opRemoveTree
	opRemoveData
	opRemoveDataGone
	opClose
	opFails
)

// opTexts say what the call's result claims, for people.
var opTexts = [...]string{
	opSawLock: "List showed the lock file", opSawData: "List showed the data and no lock file",
	opOpenUnnamed: "OpenUnnamed opened a file", opCreateLock: "CreateLock made the lock file",
	opCreateLockTaken: "CreateLock said that the lock file exists", opOpenLock: "OpenLock opened the lock file",
	opOpenLockGone: "OpenLock said that there is no lock file", opTakeLock: "TakeLock took the lock",
	opTakeLockBusy: "TakeLock said that the lock is held", opLinkLock: "LinkLock gave the file its name",
	opLinkLockTaken: "LinkLock said that the lock file exists", opIsNamed: "StatName said that lock-<id> is the file held",
	opIsNotNamed: "StatName said that lock-<id> is not the file held", opRemoveLock: "RemoveLock unlinked the lock file",
	opRemoveLockGone: "RemoveLock said that there is no lock file", opMakeData: "MakeData made the data directory",
	opMakeDataTaken: "MakeData said that the data directory exists", opStage: "StageDeletion moved the victim",
	opStageMissing: "StageDeletion said that the victim is gone", opStageFails: "StageDeletion failed",
	opCommit: "Commit moved the addition", opCommitFails: "Commit failed", opOpenData: "OpenDirectory opened the data directory",
	opOpenDataGone: "OpenDirectory said that there is no data directory",
	opOpenEntry:    "OpenDirectory opened a tree in the data", opRemoveEntry: "RemoveEntry unlinked a file of a tree",
	opRemoveTree: "RemoveDirectory removed an empty tree", opRemoveData: "RemoveData removed the data directory",
	opRemoveDataGone: "RemoveData said that there is no data directory", opClose: "Close closed the lock file", opFails: "the call failed",
}

// An op is one call that the model has something to say about.
type op struct {
	kind      opKind
	ends      bool // the process is done with the id when it returns
	failed    bool // the removal has met a failure before
	entry     int32
	item      uint8 // the entry's number in the model
	session   *session
	file      *file  // of an opening or a recheck: the real file
	call, ret uint64 // tickets; ret is never if it is pending
}

// A file is one real inode. Two descriptors of one inode have two files with
// one number.
type file struct {
	inode uint64 // 0: nobody looked
	index uint8  // of the inode, among those of the id; 0: unknown
}

// A session is one process at work on one id, from its first call about it to
// the one that closes its descriptor.
type session struct {
	process   *process
	recoverer bool
	file      *file
	opened    []op // it has opened the data directory, and not used it yet
	removing  bool // it has used the data directory
	failed    bool // its removal has met a failure
	absent    bool // a call of its removal has said that there is no data directory
	slot      uint8
	outer     *session // of the same process on the same id: it meets its own live instance
}

// A partition is what happened to one id.
type partition struct {
	id       ID
	first    uint64 // ticket of its first event
	ops      []op
	sessions []*session
	entries  map[int32]*entry
	orphan   bool     // it was put into the root without a lock file
	trees    int      // of the orphan
	because  string   // why it cannot be decided
	tickets  []uint64 // of calls that name the id
}

// An entry is one tree of an instance.
type entry struct {
	victim    bool // else an addition
	committed bool // a commit was called
	item      uint8
}

func (p *partition) entry(n int32) *entry {
	e := p.entries[n]
	if e == nil {
		e = &entry{}
		if p.entries == nil {
			p.entries = make(map[int32]*entry)
		}
		p.entries[n] = e
	}
	return e
}

// cannot notes why the partition cannot be decided.
func (p *partition) cannot(because string) {
	if p.because == "" {
		p.because = because
	}
}
