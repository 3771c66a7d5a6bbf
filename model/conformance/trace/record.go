package trace

import (
	"encoding/binary"

	"github.com/afterlock/afterlock/internal/kernel"
)

// A recording is a page with the next ticket, and records of one cache line each, all
// numbers little endian.
const (
	headerBytes = 4096
	recordBytes = 64

	maxRecords = 1 << 32
)

// A record in memory: eight words. The first is written last.
type words [recordBytes / 8]uint64

// pack puts an event into a record.
//
//	0  checksum of the rest, never 0
//	1  kind 8, method 8, name 8, links 8, process 32
//	2  errno 16, 16 free, entry 32
//	3  id, first half       4  id, second half
//	5  fd 32, dir 32
//	6  result 32, 32 free
//	7  inode, or victim
func (w *words) pack(e *Event) {
	w[1] = uint64(e.Kind) | uint64(e.Method)<<8 | uint64(e.Name)<<16 | uint64(e.Links)<<24 | uint64(e.Process)<<32
	w[2] = uint64(e.Errno) | uint64(uint32(e.Entry))<<32
	w[3] = binary.LittleEndian.Uint64(e.ID[:8])
	w[4] = binary.LittleEndian.Uint64(e.ID[8:])
	w[5] = uint64(uint32(e.Fd)) | uint64(uint32(e.Dir))<<32
	w[6] = uint64(uint32(e.Result))
	w[7] = e.Inode
	if e.Kind == Call {
		w[7] = e.Victim
	}
}

// checksum is of everything but the first word, and of the ticket, so that a
// record in a wrong place is noticed. It is never 0.
func (w *words) checksum(ticket uint64) uint64 {
	h := ticket*0x9e3779b97f4a7c15 + 1
	for _, word := range w[1:] {
		h = (h ^ word) * 0xd6e8feb86659fd93
		h ^= h >> 32
	}
	return h | 1
}

// unpack is the inverse of pack.
func (w *words) unpack(ticket uint64) (e Event) {
	e = Event{
		Ticket: ticket, Kind: Kind(w[1]), Method: kernel.Method(w[1] >> 8), Name: Name(w[1] >> 16), Links: uint8(w[1] >> 24),
		Process: uint32(w[1] >> 32), Errno: Errno(w[2]), Entry: int32(w[2] >> 32),
		Fd: int32(w[5]), Dir: int32(w[5] >> 32), Result: int32(w[6]),
	}
	binary.LittleEndian.PutUint64(e.ID[:8], w[3])
	binary.LittleEndian.PutUint64(e.ID[8:], w[4])
	if e.Kind == Call {
		e.Victim = w[7]
	} else {
		e.Inode = w[7]
	}
	return e
}

// parseName tells what name is, and its id or number. It allocates nothing.
func parseName(name string) (sort Name, id ID, entry int32) {
	if name == "." {
		return RootName, id, 0
	}
	rest, sort := name, OtherName
	switch {
	case len(name) > 5 && name[:5] == "lock-":
		rest, sort = name[5:], LockName
	case len(name) > 9 && name[:9] == "temp-dir-":
		rest, sort = name[9:], DataName
	default:
		if n, ok := entryNumber(name); ok {
			return EntryName, id, n
		}
		return OtherName, id, 0
	}
	if len(rest) < 32 {
		return OtherName, id, 0
	}
	for i := range id {
		high, low := nibbles[rest[2*i]], nibbles[rest[2*i+1]]
		if high|low > 15 {
			return OtherName, ID{}, 0
		}
		id[i] = high<<4 | low
	}
	switch rest = rest[32:]; {
	case rest == "":
		return sort, id, 0
	case sort == DataName && rest[0] == '/':
		if n, ok := entryNumber(rest[1:]); ok {
			return EntryName, id, n
		}
	}
	return OtherName, ID{}, 0
}

// entryNumber reads "<n>-".
func entryNumber(name string) (n int32, ok bool) {
	for i := range min(len(name), 8) {
		switch c := name[i]; {
		case c >= '0' && c <= '9':
			n = n*10 + int32(c-'0')
		case c == '-' && i > 0:
			return n, true
		default:
			return 0, false
		}
	}
	return 0, false
}

// nibbles are the values of hexadecimal digits, as tempdir writes them.
var nibbles = func() (table [256]uint8) {
	for i := range table {
		table[i] = 0xff
	}
	for i := range 10 {
		table['0'+i] = uint8(i)
	}
	for i := range 6 {
		table['a'+i] = uint8(10 + i)
	}
	return table
}()

// hashPath tells victims apart. It is not for adversaries. It is never 0.
func hashPath(path string) uint64 {
	h := uint64(len(path))
	for len(path) >= 8 {
		word := uint64(path[0]) | uint64(path[1])<<8 | uint64(path[2])<<16 | uint64(path[3])<<24 |
			uint64(path[4])<<32 | uint64(path[5])<<40 | uint64(path[6])<<48 | uint64(path[7])<<56
		h = (h ^ word) * 0x9e3779b97f4a7c15
		h ^= h >> 29
		path = path[8:]
	}
	for i := range len(path) {
		h = (h ^ uint64(path[i])) * 0xd6e8feb86659fd93
		h ^= h >> 32
	}
	return h | 1
}
