package kernel

import (
	"io/fs"
)

// A Method is one method of [Kernel].
type Method uint8

// The methods, in the order of the interface.
const (
	OpenRoot Method = iota
	OpenParent
	OpenUnnamed
	CreateLock
	OpenLock
	TakeLock
	WriteOwner
	LinkLock
	Stat
	StatName
	RemoveLock
	MakeData
	StageDeletion
	Commit
	SyncData
	SyncAll
	RemoveData
	OpenDirectory
	List
	RemoveEntry
	RemoveDirectory
	Hoist
	ChangeMode
	ClearFlags
	SetFlags
	Detach
	CommitPlainly
	LinkEntry
	OpenToInspect
	LockHolder
	ShareLock
	ReadOwner
	Close
	Owns

	Methods = int(Owns) + 1 // how many there are
)

var names = [Methods]string{
	"OpenRoot", "OpenParent", "OpenUnnamed", "CreateLock", "OpenLock", "TakeLock", "WriteOwner", "LinkLock", "Stat", "StatName",
	"RemoveLock", "MakeData", "StageDeletion", "Commit", "SyncData", "SyncAll", "RemoveData", "OpenDirectory",
	"List", "RemoveEntry", "RemoveDirectory", "Hoist", "ChangeMode", "ClearFlags", "SetFlags", "Detach", "CommitPlainly", "LinkEntry",
	"OpenToInspect", "LockHolder", "ShareLock", "ReadOwner", "Close", "Owns",
}

// String is the method's name in [Kernel].
func (m Method) String() string { return names[m] }

// A Call is one call: its arguments, and after it its results. Fields that a
// method does not have are zero; descriptors that it does not have are -1.
type Call struct {
	Method Method
	Fd     int         // the descriptor that the call is about, of a file or of a listed directory
	Dir    int         // the directory that Name is below
	Name   string      // the name, or the path of the victim
	ToDir  int         // Hoist: the directory that To is below
	To     string      // the entry, the destination, or the name it is hoisted to
	Mode   fs.FileMode // ChangeMode
	Flags  int         // SetFlags; a result of ClearFlags

	// Results. A hook may change them in After.
	Result     int // of the calls that open
	Ordered    bool
	Attributes Attributes
	Entries    []Entry // of List: all of its result
	Appended   int     // of List: how many of them this call appended
	Holder     Holder
	Record     []byte // of ReadOwner; WriteOwner does not show its own
	Err        error
}

// A Hook is called for every call. It must be safe for concurrent use if the kernel
// is used so. The Call is the hook's until After returns, and not after that.
type Hook interface {
	// Before comes before the call and may change its arguments. If it returns
	// an error, the call is not made and the error is its result; After is not
	// called then.
	Before(*Call) error
	// After comes after the call and may change its results.
	After(*Call)
}

// A HookFunc is a [Hook] that comes before every call and not after it.
type HookFunc func(*Call) error

// Before calls f.
func (f HookFunc) Before(c *Call) error { return f(c) }

// After does nothing.
func (HookFunc) After(*Call) {}
