package layerstore

import (
	"strings"
	"time"

	"github.com/afterlock/afterlock/tempdir"
)

// A Layer is a layer as callers see it.
//
// Ids are 1 to 128 letters, digits, "_", "-" and ".", beginning with a letter
// or a digit. What a layout itself has beside its layers ("l", "dir") or other
// engines have there ("tempdirs", "staging") is refused, in every layout. Names
// that look like lock files ("lock-1", "temp-dir-1") are ids like any other.
type Layer struct {
	ID     string            `json:"id"`
	Parent string            `json:"parent,omitempty"` // "": none
	Image  bool              `json:"image,omitempty"`  // it lies in the image store
	Labels map[string]string `json:"labels,omitempty"` // the caller's own, see [Store.Save]

	// Of Create's argument, the rest is ignored.
	Driver  string    `json:"driver"`  // the name of its layout
	Serial  uint64    `json:"serial"`  // never used again, so that a layer made anew is told apart
	Created time.Time `json:"created"` // for people
	Mounts  int       `json:"mounts"`  // see [Store.Mount]
}

// maxID bounds an id, so that it fits into a name with room for a suffix.
const maxID = 128

// reservedIDs are names that layouts have, or had, beside their layers.
var reservedIDs = map[string]bool{"l": true, "dir": true, "tempdirs": true, "staging": true, "tmp": true}

// checkID returns why id is not one, or "".
func checkID(id string) string {
	switch {
	case id == "":
		return "it is empty"
	case len(id) > maxID:
		return "it has more than 128 bytes"
	case reservedIDs[id]:
		return "it is reserved"
	case strings.ContainsRune("._-", rune(id[0])):
		return "it begins with " + quote(id[:1])
	}
	for i, c := range []byte(id) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '.', c == '-', c == '_':
		default:
			return "it contains " + quote(id[i:i+1])
		}
	}
	return ""
}

// A Deletion is what [Store.Delete] did.
type Deletion struct {
	Layers    []string  // the ids, in the order of the call
	Instances []string  // ids of the instances that the data went through
	InPlace   []InPlace // what was removed where it was, because it could not be moved
}

// An InPlace is a layer that was removed where it was, after the store lock was
// dropped, instead of being moved aside.
type InPlace struct {
	Layer  string
	Reason error // why: that of [tempdir.Root.Create] or of [tempdir.Dir.StageDeletion]
}

// A Report is what [Store.Recover] did and saw.
type Report struct {
	Finished   []string                  // ids of flagged layers of which nothing is left
	Roots      map[string]tempdir.Report // what was done about instances, by path of the root
	Flagged    []string                  // ids of deleted layers that are still there: somebody else is removing them where they are, or the error says why
	Unrecorded []string                  // paths of layers without a record; never touched
}
