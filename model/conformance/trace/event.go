package trace

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/afterlock/afterlock/internal/kernel"
)

// A Kind is what an event says.
type Kind uint8

const (
	Call   Kind = iota + 1 // a process is about to make a call
	Return                 // the call has returned
	Found                  // the List that is about to return shows a name
	Gone                   // the process was reaped: its descriptors are closed
	Orphan                 // data without a lock file is about to be put into the root
	kinds
)

var kindNames = [kinds]string{"", "call", "return", "found", "gone", "orphan"}

// String is the kind in the text form.
func (k Kind) String() string { return kindNames[k] }

// A Name is which sort of name an event is about.
type Name uint8

const (
	NoName    Name = iota
	LockName       // lock-<id>
	DataName       // temp-dir-<id>
	EntryName      // temp-dir-<id>/<n>-<hint>, or <n>-<hint> below a data directory
	RootName       // "."
	OtherName
)

// An ID is the 128 bits of an id.
type ID [16]byte

// String is the id in hexadecimal, without the zero bytes at its end: ids are
// random, so only the short ones of people who write traces have any.
func (id ID) String() string {
	n := len(id)
	for n > 1 && id[n-1] == 0 {
		n--
	}
	return hex.EncodeToString(id[:n])
}

// An Event is one record. What a kind or a method does not have is zero;
// descriptors that it does not have are -1.
type Event struct {
	Ticket  uint64 // its place in the order of all events
	Kind    Kind
	Method  kernel.Method // of Call, Return and Found
	Process uint32
	Errno   Errno // of Return; 0 if the call succeeded
	Name    Name
	ID      ID     // with a LockName or DataName, and with an EntryName below the root
	Entry   int32  // with an EntryName its number; with Orphan how many trees it has
	Fd      int32  // of Call
	Dir     int32  // of Call
	Result  int32  // of Return: the descriptor that was opened
	Inode   uint64 // of the Return of Stat and StatName
	Links   uint8  // of the Return of Stat, 2 for more
	Victim  uint64 // of the Call of StageDeletion: a hash of the path
}

// ok says that the call returned without an error.
func (e *Event) ok() bool { return e.Errno == 0 }

// String is the event as a line of the text form, without its ticket.
func (e *Event) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "p%d %v", e.Process, e.Kind)
	if e.Kind <= Found {
		b.WriteByte(' ')
		b.WriteString(e.Method.String())
	}
	field := func(name string, n int64) { fmt.Fprintf(&b, " %s=%d", name, n) }
	switch e.Name {
	case LockName:
		b.WriteString(" lock-" + e.ID.String())
	case DataName:
		b.WriteString(" temp-dir-" + e.ID.String())
	case EntryName:
		if e.ID != (ID{}) {
			b.WriteString(" temp-dir-" + e.ID.String() + "/")
		} else {
			b.WriteString(" entry-")
		}
		b.WriteString(strconv.Itoa(int(e.Entry)))
	case RootName:
		b.WriteString(" .")
	case OtherName:
		b.WriteString(" other")
	}
	if e.Kind == Call {
		if e.Fd >= 0 {
			field("fd", int64(e.Fd))
		}
		if e.Dir >= 0 {
			field("dir", int64(e.Dir))
		}
		if e.Victim != 0 {
			fmt.Fprintf(&b, " victim=%x", e.Victim)
		}
	}
	if e.Kind == Orphan {
		field("trees", int64(e.Entry))
	}
	if e.Kind == Return {
		if !e.ok() {
			b.WriteString(" " + e.Errno.String())
		}
		if e.Result >= 0 {
			field("result", int64(e.Result))
		}
		if e.Inode != 0 {
			fmt.Fprintf(&b, " inode=%d", e.Inode)
		}
		if e.Links != 0 {
			field("links", int64(e.Links))
		}
	}
	return b.String()
}
