package trace

import "github.com/afterlock/afterlock/internal/kernel"

// returned says what the process's call meant, now that it has returned. If it
// is pending, ret has the ticket never and looks like success: only then could
// it have changed anything.
//
// The table "System calls and actions" in spec/README.md is what this follows.
// Calls that have no action there are no operations; neither are those that spec/ calls
// "no step": a first call that fails, a creator's EEXIST, an ENOENT or ENOTEMPTY
// within a removal.
func (x *extraction) returned(p *process, ret *Event) {
	call := &p.call
	switch call.Method {
	case kernel.OpenUnnamed:
		if ret.ok() {
			f := &file{}
			p.open(ret, &descriptor{sort: lockFile, file: f, early: []op{{kind: opOpenUnnamed, file: f, call: call.Ticket, ret: ret.Ticket}}})
		}
	case kernel.CreateLock:
		x.createLock(p, call, ret)
	case kernel.OpenLock:
		x.openLock(p, call, ret)
	case kernel.TakeLock:
		x.takeLock(p, call, ret)
	case kernel.LinkLock:
		x.linkLock(p, call, ret)
	case kernel.Stat:
		x.stat(p, call, ret)
	case kernel.StatName:
		x.statName(p, call, ret)
	case kernel.RemoveLock:
		x.onID(p, call, ret, removeLockKinds)
	case kernel.MakeData:
		x.onID(p, call, ret, makeDataKinds)
	case kernel.StageDeletion:
		x.stageDeletion(p, call, ret)
	case kernel.Commit, kernel.CommitPlainly, kernel.LinkEntry:
		x.commit(p, call, ret)
	case kernel.OpenDirectory:
		x.openDirectory(p, call, ret)
	case kernel.List:
		x.list(p, call, ret)
	case kernel.SyncData:
		if d := p.fds[call.Fd]; d != nil && d.session != nil && !ret.ok() && ret.Errno != einval {
			d.session.failed = true
		}
	case kernel.RemoveEntry, kernel.RemoveDirectory:
		x.removeEntry(p, call, ret)
	case kernel.RemoveData:
		x.removeData(p, call, ret)
	case kernel.Hoist:
		if d := p.fds[call.Dir]; d != nil && d.part != nil {
			d.part.cannot("a tree deeper than the model's was hoisted")
		}
	case kernel.OpenToInspect, kernel.OpenParent:
		if ret.ok() {
			p.open(ret, &descriptor{})
		}
	case kernel.Close:
		x.close(p, call, ret)
	}
}

// open notes a descriptor that a call has returned.
func (p *process) open(ret *Event, d *descriptor) {
	if ret.Ticket != never {
		p.fds[ret.Result] = d
	}
}

// emit adds an operation of a session.
func (part *partition) emit(s *session, o op, call, ret *Event) {
	o.session, o.call, o.ret = s, call.Ticket, ret.Ticket
	part.ops = append(part.ops, o)
}

// session is the process's session on the id of a call, or nil.
func (x *extraction) session(p *process, call *Event) (*partition, *session) {
	s := p.sessions[call.ID]
	if s == nil {
		return nil, nil
	}
	return x.partitions[call.ID], s
}

var (
	removeLockKinds = map[Errno]opKind{0: opRemoveLock, enoent: opRemoveLockGone}
	makeDataKinds   = map[Errno]opKind{0: opMakeData, eexist: opMakeDataTaken}
)

// onID is for calls whose errno alone says what they meant.
func (x *extraction) onID(p *process, call, ret *Event, kinds map[Errno]opKind) {
	part, s := x.session(p, call)
	if s == nil {
		if call.Name == LockName || call.Name == DataName {
			part = x.partition(call.ID, call.Ticket)
			s = x.begin(p, part, false, nil) // a process that acts on what it has not: the model says what is wrong
		} else {
			return
		}
	}
	kind, ok := kinds[ret.Errno]
	if !ok {
		kind = opFails
	}
	part.emit(s, op{kind: kind}, call, ret)
}

// sees begins a recoverer's session with what its listing showed. A listing
// takes effect somewhere between the opening of the root and the return of the
// List that showed the name: a file system may read ahead.
func (x *extraction) sees(p *process, part *partition, f *file, lock bool) *session {
	s := x.begin(p, part, true, f)
	saw, listed := opSawData, Event{Ticket: p.seen[part.id].data}
	if seen := p.seen[part.id]; lock && seen.lock != 0 {
		saw, listed.Ticket = opSawLock, seen.lock
	}
	if listed.Ticket != 0 {
		part.emit(s, op{kind: saw}, &Event{Ticket: p.listing}, &listed)
	}
	return s
}

func (x *extraction) createLock(p *process, call, ret *Event) {
	if call.Name != LockName {
		p.open(ret, &descriptor{})
		return
	}
	seen, recoverer := p.seen[call.ID]
	f := &file{}
	part := x.partition(call.ID, call.Ticket)
	switch {
	case ret.ok():
		var s *session
		if recoverer {
			s = x.sees(p, part, f, seen.lock != 0)
			if ret.Ticket != never {
				x.counts.Adoptions++
			}
		} else {
			s = x.begin(p, part, false, f)
		}
		part.emit(s, op{kind: opCreateLock, file: f}, call, ret)
		p.open(ret, &descriptor{sort: lockFile, part: part, session: s, file: f})
	case ret.Errno == eexist && recoverer:
		s := x.sees(p, part, f, seen.lock != 0)
		part.emit(s, op{kind: opCreateLockTaken, ends: true}, call, ret)
		p.end(call.ID, s)
	}
}

// openLock: any failure but ENOENT is no step, and since nothing follows it the
// listing before it is none either.
func (x *extraction) openLock(p *process, call, ret *Event) {
	if call.Name != LockName {
		p.open(ret, &descriptor{})
		return
	}
	if !ret.ok() && ret.Errno != enoent {
		return
	}
	part := x.partition(call.ID, call.Ticket)
	f := &file{}
	s := x.sees(p, part, f, true)
	if ret.ok() {
		part.emit(s, op{kind: opOpenLock, file: f}, call, ret)
		p.open(ret, &descriptor{sort: lockFile, part: part, session: s, file: f})
		return
	}
	part.emit(s, op{kind: opOpenLockGone, ends: true}, call, ret)
	p.end(call.ID, s)
}

func (x *extraction) takeLock(p *process, call, ret *Event) {
	d := x.descriptor(p, call)
	if d == nil || d.sort != lockFile {
		return
	}
	kind := opFails
	switch {
	case ret.ok():
		kind = opTakeLock
	case ret.Errno == eagain:
		kind = opTakeLockBusy
		x.counts.Busy++
	}
	if d.session == nil {
		d.early = append(d.early, op{kind: kind, call: call.Ticket, ret: ret.Ticket})
		return
	}
	d.part.emit(d.session, op{kind: kind}, call, ret)
}

// linkLock: a file that never gets a name is nobody's business but its
// process's: it is closed, or dies with it. So a link that fails is no step, nor
// is what came before it, nor what the process does after it (another id, or the
// way without unnamed files). Only an adopter's EEXIST is one.
func (x *extraction) linkLock(p *process, call, ret *Event) {
	d := x.descriptor(p, call)
	if call.Name != LockName || d == nil || d.sort != lockFile || d.session != nil {
		return
	}
	seen, recoverer := p.seen[call.ID]
	if !ret.ok() && (ret.Errno != eexist || !recoverer) {
		return
	}
	part := x.partition(call.ID, call.Ticket)
	var s *session
	if recoverer {
		s = x.sees(p, part, d.file, seen.lock != 0)
	} else {
		s = x.begin(p, part, false, d.file)
	}
	for _, o := range d.early {
		o.session = s
		part.ops = append(part.ops, o)
	}
	kind := opLinkLock
	if !ret.ok() {
		kind = opLinkLockTaken
	} else if recoverer && ret.Ticket != never {
		x.counts.Adoptions++
	}
	part.emit(s, op{kind: kind}, call, ret)
	d.part, d.session, d.early = part, s, nil
}

// stat is joined to StatName: what a descriptor leads to does not change.
func (x *extraction) stat(p *process, call, ret *Event) {
	d := p.fds[call.Fd]
	switch {
	case d == nil || d.sort != lockFile || ret.Ticket == never:
	case ret.ok():
		d.file.inode = ret.Inode
	case d.session != nil:
		d.part.emit(d.session, op{kind: opFails}, call, ret)
	}
}

// statName of a lock file by whoever holds it is the recheck. Asking changes
// nothing, so a pending one is no step.
func (x *extraction) statName(p *process, call, ret *Event) {
	part, s := x.session(p, call)
	if call.Name == DataName && s != nil && s.absent && ret.Errno != enoent && ret.Ticket != never {
		// What was not found is looked for by its name, and the look refutes it or fails.
		part.emit(s, op{kind: opFails}, call, ret)
	}
	if call.Name != LockName || s == nil || s.file == nil || ret.Ticket == never {
		return
	}
	o := op{kind: opFails}
	switch {
	case ret.ok() && ret.Inode == s.file.inode:
		o = op{kind: opIsNamed, file: &file{inode: ret.Inode}}
	case ret.ok():
		o = op{kind: opIsNotNamed, file: &file{inode: ret.Inode}}
		x.counts.Ghosts++
	case ret.Errno == enoent:
		o.kind = opIsNotNamed
		x.counts.Ghosts++
	}
	part.emit(s, o, call, ret)
}

func (x *extraction) close(p *process, call, ret *Event) {
	d := p.fds[call.Fd]
	delete(p.fds, call.Fd)
	if d == nil || d.sort != lockFile || d.session == nil {
		return // not observable
	}
	d.part.emit(d.session, op{kind: opClose, ends: true, failed: d.session.failed}, call, ret)
	p.end(d.part.id, d.session)
}
