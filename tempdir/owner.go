package tempdir

import (
	"bytes"
	"encoding/json"

	"github.com/afterlock/afterlock/internal/kernel"
)

// An Owner is the record in a lock file that says who made the instance. It is
// for people: the protocol decides nothing from it, it may be missing (the disk
// was full), and process ids are those of the writer's pid namespace.
type Owner struct {
	PID        int    `json:"pid"`
	Start      uint64 `json:"start"`             // start of the process, in clock ticks since boot
	Boot       string `json:"boot"`              // boot id of the kernel
	Executable string `json:"executable"`        // base name of the program
	Purpose    string `json:"purpose,omitempty"` // see [Purpose]
}

// encode returns the record as one line of JSON, without the free texts if it
// would be too long with them.
func (o Owner) encode() []byte {
	record, err := json.Marshal(o)
	if err != nil || len(record) >= kernel.MaxRecord {
		o.Executable, o.Purpose = "", ""
		record, _ = json.Marshal(o) // cannot fail: numbers and a short string
	}
	return append(record, '\n')
}

// parseOwner returns nil for anything but a record.
func parseOwner(record []byte) *Owner {
	line, _, found := bytes.Cut(record, []byte{'\n'})
	if !found {
		return nil
	}
	var owner Owner
	if json.Unmarshal(line, &owner) != nil || owner.PID <= 0 {
		return nil
	}
	return &owner
}
