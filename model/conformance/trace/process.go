package trace

import (
	"fmt"

	"github.com/afterlock/afterlock/internal/kernel"
)

// A sort of descriptor.
type sort uint8

const (
	otherFile sort = iota
	lockFile
	listedRoot
	dataDirectory
	treeDirectory
)

// A descriptor is what a process has open.
type descriptor struct {
	sort    sort
	part    *partition
	session *session
	entry   int32
	file    *file
	early   []op // of a file that has no name yet, and so no id
}

// A sight is what a listing showed of one id.
type sight struct {
	lock, data uint64 // ticket of the return of the List that showed it; 0 if none did
}

// A process is one recorder's, seen through its events.
type process struct {
	number   uint32
	calling  bool
	call     Event // if calling
	fds      map[int32]*descriptor
	seen     map[ID]sight // by the last listing of the root
	finding  []Event      // shown by the List that has not returned
	listing  uint64       // ticket of the call that began the last listing
	sessions map[ID]*session
	last     uint64 // ticket of the last event
	gone     uint64 // ticket of Gone, or never
}

// An extraction turns the events of a trace into operations on ids.
type extraction struct {
	trace      *Trace
	processes  map[uint32]*process
	partitions map[ID]*partition
	order      []*partition
	victims    map[uint64]*victim
	counts     Counts
	wrong      error  // what no process can do
	foreign    *Event // the first call of the protocol about a name that is none
}

// A victim is one path, which processes may compete for.
type victim struct {
	stagings int    // that returned success
	first    uint64 // ticket of the first call that may have moved it
	ticket   uint64 // of the last return that said it is gone, and nobody had moved it
}

func extract(t *Trace) (*extraction, error) {
	x := &extraction{
		trace: t, processes: make(map[uint32]*process), partitions: make(map[ID]*partition), victims: make(map[uint64]*victim),
	}
	for i := range t.Events {
		if err := x.add(&t.Events[i]); err != nil {
			return nil, err
		}
	}
	for _, p := range x.processes {
		if p.calling {
			if p.gone != never {
				x.counts.CutOff++
			}
			pending := Event{Kind: Return, Ticket: never, Method: p.call.Method}
			if x.returned(p, &pending); x.wrong != nil {
				return nil, x.wrong
			}
		}
	}
	x.counts.Dropped = int64(t.Dropped)
	return x, nil
}

// add deals with one event.
func (x *extraction) add(e *Event) error {
	x.counts.Events++
	if e.Kind == Orphan {
		p := x.partition(e.ID, e.Ticket)
		if p.orphan || len(p.ops) > 0 {
			return &malformed{e.Ticket, fmt.Sprintf("%v is put into the root as an orphan, and was there before", e.ID)}
		}
		p.orphan, p.trees = true, int(e.Entry)
		return nil
	}
	p := x.processes[e.Process]
	if p == nil {
		p = &process{number: e.Process, gone: never, fds: make(map[int32]*descriptor), seen: make(map[ID]sight), sessions: make(map[ID]*session)}
		x.processes[e.Process] = p
	}
	wrong := func(format string, args ...any) error {
		return &malformed{e.Ticket, fmt.Sprintf("process %d ", e.Process) + fmt.Sprintf(format, args...)}
	}
	if p.gone != never {
		return wrong("was reaped at ticket %d, and now: %v", p.gone, e)
	}
	switch e.Kind {
	case Call:
		if p.calling {
			return wrong("calls %v while its call of %v has not returned", e.Method, p.call.Method)
		}
		p.calling, p.call = true, *e
		if x.foreign == nil && e.foreign() {
			x.foreign = e
		}
		if e.ID != (ID{}) {
			part := x.partition(e.ID, e.Ticket)
			part.tickets = append(part.tickets, e.Ticket)
		}
	case Found:
		if !p.calling || p.call.Method != kernel.List {
			return wrong("finds a name and does not list")
		}
		p.finding = append(p.finding, *e)
		if part := x.partitions[e.ID]; part != nil {
			part.tickets = append(part.tickets, e.Ticket)
		}
	case Return:
		if !p.calling {
			return wrong("returns from %v, and has called nothing", e.Method)
		}
		if p.call.Method != e.Method {
			return wrong("returns from %v, and has called %v", e.Method, p.call.Method)
		}
		p.calling = false
		if x.returned(p, e); x.wrong != nil {
			return x.wrong
		}
	case Gone:
		x.counts.Gone++
		p.gone = e.Ticket
		return nil // the process itself did something before
	}
	p.last = e.Ticket
	return nil
}

// foreign reports whether the call is one of the protocol, about a name that is
// not of the protocol.
func (e *Event) foreign() bool {
	switch e.Method {
	case kernel.CreateLock, kernel.OpenLock, kernel.LinkLock, kernel.RemoveLock:
		return e.Name != LockName
	case kernel.MakeData, kernel.RemoveData:
		return e.Name != DataName
	case kernel.StageDeletion, kernel.Commit, kernel.CommitPlainly, kernel.LinkEntry:
		return e.Name != EntryName || e.ID == (ID{})
	}
	return false
}

// A malformed trace is none of processes that make one call at a time.
type malformed struct {
	ticket uint64
	text   string
}

func (m *malformed) Error() string { return fmt.Sprintf("event %d: %s", m.ticket, m.text) }

func (x *extraction) partition(id ID, ticket uint64) *partition {
	p := x.partitions[id]
	if p == nil {
		p = &partition{id: id, first: ticket}
		x.partitions[id] = p
		x.order = append(x.order, p)
	}
	return p
}

// begin is the process's session on an id, a new one.
func (x *extraction) begin(p *process, part *partition, recoverer bool, f *file) *session {
	s := &session{process: p, recoverer: recoverer, file: f, outer: p.sessions[part.id]}
	part.sessions = append(part.sessions, s)
	p.sessions[part.id] = s
	return s
}

// end ends a session; one that it was within goes on.
func (p *process) end(id ID, s *session) {
	if p.sessions[id] != s {
		return
	}
	if s.outer != nil {
		p.sessions[id] = s.outer
	} else {
		delete(p.sessions, id)
	}
}

// descriptor is what the process has open as the call's descriptor. Whoever locks
// or links a file has opened it before.
func (x *extraction) descriptor(p *process, call *Event) *descriptor {
	d := p.fds[call.Fd]
	if d == nil {
		x.wrong = &malformed{call.Ticket, fmt.Sprintf("process %d calls %v with a descriptor that it has not opened, or has closed", p.number, call.Method)}
	}
	return d
}
