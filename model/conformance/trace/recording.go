package trace

import (
	"encoding/hex"
	"fmt"
	"sync/atomic"
)

// A Recording is a mapping that processes record into. All methods but Close may
// be called concurrently.
type Recording struct {
	trace   *Trace // of one that is in memory; the rest is not used then
	path    string
	files   int // in every tree
	mapping []byte
	next    *uint64 // in the mapping
	records []words // in the mapping
}

// InMemory returns a recording of one goroutine alone, which is used again after
// each [Recording.Reset]. files is how many files every tree has.
func InMemory(files int) *Recording { return &Recording{trace: &Trace{Path: "memory", Files: files}} }

// Reset forgets what was recorded in memory.
func (r *Recording) Reset() { r.trace.Events = r.trace.Events[:0] }

// Recorder returns the recorder of one process. A number stands for one process
// from its first call to its end and is not used again; 0 is the supervisor's.
func (r *Recording) Recorder(process uint32) *Recorder { return &Recorder{r, process} }

// Gone records that a process has ended and was reaped: the kernel has closed its
// descriptors by now. The supervisor calls it for every process that ends, in
// order or not, before it starts another in its place.
func (r *Recording) Gone(process uint32) {
	r.add(&Event{Kind: Gone, Process: process, Fd: -1, Dir: -1, Result: -1})
}

// Orphan records that the caller is about to put the data of an id that has no
// lock file into the root, with trees numbered from 0. Call it before the rename.
func (r *Recording) Orphan(id string, trees int) error {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != len(ID{}) {
		return fmt.Errorf("orphan %q: not an id", id)
	}
	r.add(&Event{Kind: Orphan, Name: DataName, ID: ID(raw), Entry: int32(trees), Fd: -1, Dir: -1, Result: -1})
	return nil
}

// Len is how many events were recorded so far, holes included.
func (r *Recording) Len() int { return int(min(atomic.LoadUint64(r.next), uint64(len(r.records)))) }

// Dropped is how many events found no room.
func (r *Recording) Dropped() int {
	return int(max(atomic.LoadUint64(r.next), uint64(len(r.records)))) - len(r.records)
}

// Trace reads what was recorded so far. Call it when nobody records any more, or
// the last events may be holes.
func (r *Recording) Trace() (*Trace, error) {
	if r.trace != nil {
		return r.trace, nil
	}
	n := r.Len()
	t := &Trace{Path: r.path, Files: r.files, Dropped: r.Dropped(), Events: make([]Event, 0, n)}
	for ticket := range uint64(n) {
		switch w := &r.records[ticket]; w[0] {
		case 0:
			t.Holes++ // begun, and never committed
		case w.checksum(ticket):
			t.Events = append(t.Events, w.unpack(ticket))
		default:
			return nil, fmt.Errorf("%s: corrupt: event %d has a wrong checksum", r.path, ticket)
		}
	}
	return t, nil
}
