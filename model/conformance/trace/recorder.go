package trace

import (
	"errors"
	"sync/atomic"
	"syscall"

	"github.com/afterlock/afterlock/internal/kernel"
)

// A Recorder records the calls of one process of the model: one goroutine that
// uses a [tempdir.Root] of its own, in whatever operating system process. It is
// safe for concurrent use, but [Validate] rejects a process that makes two calls
// at once.
//
// Put it outside of what injects faults, so that it sees them:
// kernel.Around(kernel.Around(kernel, faults), recorder).
type Recorder struct {
	recording *Recording
	process   uint32
}

// Before records the call. It never fails.
func (r *Recorder) Before(c *kernel.Call) error {
	e := Event{Kind: Call, Method: c.Method, Process: r.process, Fd: int32(c.Fd), Dir: int32(c.Dir), Result: -1}
	switch c.Method {
	case kernel.StageDeletion:
		e.Name, e.ID, e.Entry = parseName(c.To)
		e.Victim = hashPath(c.Name)
	case kernel.OpenRoot:
		e.Name = OtherName
	default:
		if c.Name != "" {
			e.Name, e.ID, e.Entry = parseName(c.Name)
		}
	}
	r.recording.add(&e)
	return nil
}

// After records what the call returned, and what a listing found.
func (r *Recorder) After(c *kernel.Call) {
	e := Event{Kind: Return, Method: c.Method, Process: r.process, Fd: -1, Dir: -1, Result: int32(c.Result), Errno: errnoOf(c.Err)}
	switch c.Method {
	case kernel.Stat, kernel.StatName:
		if c.Err == nil {
			e.Inode = c.Attributes.Inode
			e.Links = uint8(min(c.Attributes.Links, 2))
		}
	case kernel.List:
		r.found(c)
	}
	r.recording.add(&e)
}

// found records the names of ids that the call appended.
func (r *Recorder) found(c *kernel.Call) {
	for i := len(c.Entries) - c.Appended; i < len(c.Entries); i++ {
		name, id, _ := parseName(c.Entries[i].Name)
		if name == LockName || name == DataName {
			r.recording.add(&Event{Kind: Found, Method: kernel.List, Process: r.process, Fd: -1, Dir: -1, Result: -1, Name: name, ID: id})
		}
	}
}

func errnoOf(err error) Errno {
	if err == nil {
		return 0
	}
	errno, ok := err.(syscall.Errno)
	if !ok {
		errno = wrappedErrno(err)
	}
	if errno == 0 || errno >= syscall.Errno(unknownErrno) {
		return unknownErrno
	}
	return Errno(errno)
}

// wrappedErrno is for kernels that do not return bare errnos. It allocates.
func wrappedErrno(err error) (errno syscall.Errno) {
	errors.As(err, &errno)
	return errno
}

// add writes one event, or counts it if there is no room.
func (r *Recording) add(e *Event) {
	if r.trace != nil {
		e.Ticket = uint64(len(r.trace.Events))
		r.trace.Events = append(r.trace.Events, *e)
		return
	}
	ticket := atomic.AddUint64(r.next, 1) - 1
	if ticket >= uint64(len(r.records)) {
		return // the ticket that was drawn is the count
	}
	w := &r.records[ticket]
	w.pack(e)
	atomic.StoreUint64(&w[0], w.checksum(ticket))
}
