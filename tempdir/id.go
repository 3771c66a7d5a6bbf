package tempdir

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"strings"
)

// Names on disk are those of containers/storage, so that both can share a root.
const (
	lockPrefix = "lock-"
	dataPrefix = "temp-dir-"
)

// idBytes is the size of an id before it is written as hexadecimal text:
// 128 bits, so that no id is ever drawn twice (rule 6).
const idBytes = 16

// newID draws an id from the system's generator, with one system call. No state
// is kept, so copies of a process or of a virtual machine do not draw the same.
func newID() string {
	var raw [idBytes]byte
	rand.Read(raw[:]) // never fails
	return hex.EncodeToString(raw[:])
}

func lockName(id string) string { return lockPrefix + id }
func dataName(id string) string { return dataPrefix + id }

// parseName splits a name found in a root. Any name that is not exactly a
// prefix followed by an id is not an instance's: it is foreign (rule 9).
func parseName(name string, mixed bool) (id string, lock, ok bool) {
	id, lock = strings.CutPrefix(name, lockPrefix)
	if !lock {
		var data bool
		if id, data = strings.CutPrefix(name, dataPrefix); !data {
			return "", false, false
		}
	}
	if isOwnID(id) || mixed && isUpstreamID(id) {
		return id, lock, true
	}
	return "", false, false
}

// isOwnID reports whether id is one that newID could have drawn.
func isOwnID(id string) bool {
	if len(id) != 2*idBytes {
		return false
	}
	for _, c := range []byte(id) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isUpstreamID reports whether id is one that containers/storage could have
// drawn: os.CreateTemp writes 32 random bits as a decimal number.
func isUpstreamID(id string) bool {
	n, err := strconv.ParseUint(id, 10, 32)
	return err == nil && strconv.FormatUint(n, 10) == id
}

// hintBytes bounds the part of an entry's name that is there for people.
const hintBytes = 48

// entryName is the name of the n-th entry of an instance. The hint comes from
// the victim's own name; every byte that could confuse a terminal, or that a shell
// would expand, becomes '_', and the length is bounded, so that a 255-byte victim
// can be staged too. Nothing is ever decided from it.
func entryName(n uint64, hint string) string {
	name := make([]byte, 0, 20+1+hintBytes)
	name = strconv.AppendUint(name, n, 10)
	name = append(name, '-')
	for _, c := range []byte(hint[:min(len(hint), hintBytes)]) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '.', c == '-', c == '_', c == ' ':
		default:
			c = '_'
		}
		name = append(name, c)
	}
	return string(name)
}

// splitPath splits path before its last element. It looks at the text alone, as
// the kernel does: "a/../b" is not "b" if a is a symbolic link. The last element
// is without trailing slashes, and "" for "" and for "/".
func splitPath(path string) (dir, last string) {
	path = strings.TrimRight(path, "/")
	i := strings.LastIndexByte(path, '/') + 1
	if dir = path[:i]; dir == "" {
		dir = "./"
	}
	return dir, path[i:]
}
