package tempdir

import (
	"fmt"
	"time"
	"unicode/utf8"
)

// A State is what an observer can say of the names of one id, or of a foreign
// name, at one moment; it may be out of date at once.
type State int

const (
	Live      State = iota + 1 // the lock is held
	Stale                      // a lock file, and nobody holds the lock
	Orphan                     // data without lock file
	Foreign                    // a name that is not ours
	Unknown                    // the lock file cannot be read; see Instance.Err
	YoungLock                  // a lock file without data that was not looked into, being young; see [MixedFleet]
)

var stateNames = map[State]string{Live: "live", Stale: "stale", Orphan: "orphan", Foreign: "foreign", Unknown: "unknown", YoungLock: "young"}

// String returns the state's name in lower case.
func (s State) String() string { return enumName(stateNames, s) }

// MarshalText returns the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// An Instance is what [Root.Instances] saw of one id, or one foreign name.
type Instance struct {
	Name    string    `json:"name"`             // the id, or the foreign name
	State   State     `json:"state"`            //
	Data    bool      `json:"data"`             // the data directory exists
	Changed time.Time `json:"changed"`          // of the lock file; of the data or the foreign name where there is none
	Owner   *Owner    `json:"owner,omitempty"`  // from the owner record; nil if there is none or it is garbage
	Holder  int       `json:"holder,omitempty"` // process id that the kernel names as holder: upstream's locks only, else 0
	Err     error     `json:"error,omitempty"`  // why State is Unknown; as text in JSON

	NameBytes []byte `json:"name_bytes,omitempty"` // Name, if it is not UTF-8, of which JSON keeps not every byte
}

// Usage is what the data of one instance takes on disk.
type Usage struct {
	Files   int64 `json:"files"`   // names of any type below the data directory
	Bytes   int64 `json:"bytes"`   // allocated bytes; an inode with several names counts with each
	Partial bool  `json:"partial"` // something could not be read: both numbers are lower bounds
}

// Progress is how far one removal has come: of an instance, or of what [Remove] removes.
// See [OnProgress].
type Progress struct {
	Op    string // the operation: "close", "recover", "remove"
	Path  string // of the data directory; of Remove, what it was given
	Names int64  // how many files, directories and others were removed, as in [Usage]; by Remove, with the path itself
	Bytes int64  // with [CountBytes]: what was allocated for them
	Done  bool   // the removal is at its end, whether or not something is left
}

// An Outcome is what [Root.Recover] did about one id.
type Outcome int

const (
	Skipped    Outcome = iota + 1 // live: the lock is held
	Young                         // left alone for now: see [OrphanGrace] and [MixedFleet]
	Recovered                     // data and lock file are gone
	Vanished                      // another process finished it meanwhile
	Failed                        // could not be removed; see Result.Err
	Denied                        // another user's: a lock file that cannot be opened, or an orphan that cannot be removed
	Unfinished                    // the slice ended first; see [Slice]
	Resting                       // it has failed before, and is not tried again yet; see [Root.Reap]
)

var outcomeNames = map[Outcome]string{Skipped: "live", Young: "young", Recovered: "recovered", Vanished: "vanished", Failed: "failed", Denied: "denied", Unfinished: "unfinished", Resting: "resting"}

// String returns the outcome's name in lower case.
func (o Outcome) String() string { return enumName(outcomeNames, o) }

// MarshalText returns the outcome's name.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// A Result is what [Root.Recover] did about one id.
type Result struct {
	ID      string  `json:"id"`
	Outcome Outcome `json:"outcome"`
	Adopted bool    `json:"adopted,omitempty"` // it was an orphan
	Names   int64   `json:"names,omitempty"`   // how many were removed from its data, also if some are left
	Bytes   int64   `json:"bytes,omitempty"`   // with [CountBytes]: what was allocated for them
	Err     error   `json:"error,omitempty"`   // with Failed; as text in JSON
}

// A Report says what one call of [Root.Recover] saw and did. It takes memory
// in proportion to the number of instances.
type Report struct {
	Results []Result `json:"results"` // one an id, in the order of the ids
	Foreign []string `json:"foreign"` // names that are not ours, sorted; never touched
	More    bool     `json:"more"`    // it stopped early, see [Slice]; or ctx was done

	ForeignBytes [][]byte `json:"foreign_bytes,omitempty"` // those of Foreign that are not UTF-8
}

// notUTF8 is the name if JSON would not keep every byte of it.
func notUTF8(name string) []byte {
	if utf8.ValidString(name) {
		return nil
	}
	return []byte(name)
}

// Count returns how many ids had the outcome.
func (r Report) Count(outcome Outcome) int {
	n := 0
	for _, result := range r.Results {
		if result.Outcome == outcome {
			n++
		}
	}
	return n
}

func enumName[E ~int | ~uint8](names map[E]string, e E) string {
	if name, ok := names[e]; ok {
		return name
	}
	return fmt.Sprintf("%T(%d)", e, int(e))
}
