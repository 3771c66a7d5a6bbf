package trace

import "github.com/afterlock/afterlock/internal/kernel"

// This file is extract.go for what is in a data directory.

func (x *extraction) stageDeletion(p *process, call, ret *Event) {
	part, s := x.session(p, call)
	if s == nil || call.Name != EntryName {
		return
	}
	kind := opStageFails
	switch {
	case ret.ok():
		kind = opStage
	case ret.Errno == enoent:
		kind = opStageMissing
	case ret.Errno == eexist:
		return // somebody put a name there; the next number is tried
	}
	s.failed = false // it lives on
	part.entry(call.Entry).victim = true
	part.emit(s, op{kind: kind, entry: call.Entry}, call, ret)
	x.compete(call, ret)
}

// compete keeps account of a path that several instances may want: it is staged
// once, and missing only if somebody has staged it, or may have.
func (x *extraction) compete(call, ret *Event) {
	v := x.victims[call.Victim]
	if v == nil {
		v = &victim{first: never}
		x.victims[call.Victim] = v
	}
	switch {
	case ret.ok():
		v.first = min(v.first, call.Ticket)
		if ret.Ticket != never {
			v.stagings++
		}
	case ret.Errno == enoent:
		v.ticket = max(v.ticket, ret.Ticket)
	}
}

// commit: an ENOENT says that nothing was staged, or no destination is there.
func (x *extraction) commit(p *process, call, ret *Event) {
	part, s := x.session(p, call)
	if s == nil || call.Name != EntryName || ret.Errno == enoent {
		return
	}
	kind := opCommit
	if !ret.ok() {
		kind = opCommitFails
	}
	s.failed = false
	part.entry(call.Entry).committed = true
	part.emit(s, op{kind: kind, entry: call.Entry}, call, ret)
}

func (x *extraction) openDirectory(p *process, call, ret *Event) {
	d := &descriptor{}
	switch parent := p.fds[call.Dir]; {
	case call.Name == RootName:
		if ret.ok() {
			d.sort = listedRoot
			clear(p.seen)
			p.listing = call.Ticket
		}
	case call.Name == DataName:
		x.openData(p, call, ret)
		return
	case parent != nil && parent.sort == treeDirectory:
		if ret.ok() {
			parent.part.cannot("a tree with directories in it")
		}
	case parent != nil && parent.sort == dataDirectory && call.Name == EntryName:
		parent.part.begins(parent.session)
		*d = descriptor{sort: treeDirectory, part: parent.part, session: parent.session, entry: call.Entry}
		switch {
		case ret.ok():
			d.part.entry(call.Entry)
			d.part.emit(d.session, op{kind: opOpenEntry, entry: call.Entry, failed: d.session.failed}, call, ret)
		case ret.Errno != enoent && ret.Errno != enotdir && ret.Errno != eloop:
			d.session.failed = true
		}
	}
	if ret.ok() {
		p.open(ret, d)
	}
}

// openData is the first step of a removal, or a new listing within it. The owner of a
// live instance opens the data to sync it, too: a removal lists what it has opened,
// and what fails before is its failure only if nothing but the end follows.
func (x *extraction) openData(p *process, call, ret *Event) {
	part, s := x.session(p, call)
	if s == nil {
		return // somebody measures it
	}
	o := op{kind: opOpenData}
	switch {
	case ret.ok():
		p.open(ret, &descriptor{sort: dataDirectory, part: part, session: s})
		o.session, o.call, o.ret = s, call.Ticket, ret.Ticket
		s.opened = []op{o}
		return
	case ret.Errno == enoent && s.absent && !s.removing:
		return
	case ret.Errno == enoent && !s.removing:
		o.kind, s.absent = opOpenDataGone, true
	case ret.Errno == enoent:
		o.kind, s.absent = opRemoveDataGone, true
	default:
		s.failed = true
		return
	}
	part.emit(s, o, call, ret)
}

// begins is that something is done with the data directory, once it is open.
func (part *partition) begins(s *session) {
	if !s.removing {
		part.ops = append(part.ops, s.opened...)
		s.removing = len(s.opened) > 0
	}
}

func (x *extraction) list(p *process, call, ret *Event) {
	d := p.fds[call.Fd]
	if d != nil && d.sort == dataDirectory {
		d.part.begins(d.session)
	}
	switch {
	case d == nil:
	case d.sort == listedRoot:
		for _, e := range p.finding {
			seen := p.seen[e.ID]
			if e.Name == LockName && seen.lock == 0 {
				seen.lock = ret.Ticket
			} else if e.Name == DataName && seen.data == 0 {
				seen.data = ret.Ticket
			}
			p.seen[e.ID] = seen
		}
	case d.session != nil && !ret.ok() && ret.Errno != enoent:
		d.session.failed = true
	}
	p.finding = p.finding[:0]
}

func (x *extraction) removeEntry(p *process, call, ret *Event) {
	d := p.fds[call.Dir]
	if d == nil || d.session == nil {
		return
	}
	d.part.begins(d.session)
	switch file := call.Method == kernel.RemoveEntry; {
	case ret.Errno == enoent || ret.Errno == enotempty || ret.Errno == eexist:
	case !ret.ok():
		d.session.failed = true
	case d.sort == treeDirectory && file:
		d.part.emit(d.session, op{kind: opRemoveEntry, entry: d.entry}, call, ret)
	case d.sort == dataDirectory && !file && call.Name == EntryName:
		d.part.emit(d.session, op{kind: opRemoveTree, entry: call.Entry}, call, ret)
	case d.sort == dataDirectory:
		d.part.cannot("an entry that is not a directory, or has a foreign name")
	case d.sort == treeDirectory:
		d.part.cannot("a tree with directories in it")
	}
}

// removeData: an owner that staged nothing tries this before anything else, and
// if it fails it goes the long way: no step.
func (x *extraction) removeData(p *process, call, ret *Event) {
	part, s := x.session(p, call)
	if s == nil {
		part = x.partition(call.ID, call.Ticket)
		s = x.begin(p, part, false, nil)
	}
	part.begins(s)
	switch {
	case ret.ok():
		part.emit(s, op{kind: opRemoveData}, call, ret)
	case ret.Errno == enoent:
		s.absent = true
		part.emit(s, op{kind: opRemoveDataGone}, call, ret)
	case ret.Errno == enotempty || ret.Errno == eexist:
	case s.removing:
		s.failed = true
	}
}
