package model

import (
	"fmt"
	"slices"
	"strings"
)

// This file is Readers.tla and MCReaders.tla: readers of a layer that is deleted.
// What the explorer needs is in layerstore_readers_system.go.

// A ReadersConfig is the CONSTANTS of a model of readers.
type ReadersConfig struct {
	Lister, Checker, File []string
	Swap                  map[string]string
}

const (
	deleterBegin = iota
	deleterFlag
	deleterStage
	deleterUnlock
	deleterRemove
	deleterMade
)

const (
	readerIdle = iota
	readerLocked
	readerUnlock
	readerOpen
	readerList
	readerRead
	readerAsk
	readerDone
)

const (
	toldNothing = iota
	toldLayer
	toldError
)

var (
	deleterNames = []string{`"begin"`, `"flag"`, `"stage"`, `"unlock"`, `"remove"`, `"made"`}
	readerNames  = []string{`"idle"`, `"locked"`, `"unlock"`, `"open"`, `"list"`, `"read"`, `"ask"`, `"done"`}
	toldNames    = []string{`"nothing"`, `"layer"`, `"error"`}
)

const maxReaders = 3

// readersState is the variables of Readers.tla; readers, lives and files are from
// 1, 0 stands for none. A set has bit n for n.
type readersState struct {
	record, home                  uint8
	names, whole                  [3]uint8
	writer, shared, step, half    uint8
	pc, knows, of, todo, fd, told [maxReaders + 1]uint8
}

// readersStep is the expander of Readers.
type readersStep struct {
	m *Readers
	working[readersState]
}

// deletes ends a step of the deleter.
func (t *readersStep) deletes(at, then uint8, change func(n *readersState)) {
	if t.not(t.s.step == at, "step = "+deleterNames[at]) {
		return
	}
	n := t.next()
	n.step = then
	change(n)
	t.done()
}

// reads ends a step of reader r.
func (t *readersStep) reads(r, at, then uint8, change func(n *readersState)) {
	if t.not(t.s.pc[r] == at, "pc[r] = "+readerNames[at]) {
		return
	}
	n := t.next()
	n.pc[r] = then
	change(n)
	t.done()
}

func (t *readersStep) LockToDelete() {
	if !t.not(t.s.shared == 0, "shared = {}") {
		t.deletes(deleterBegin, deleterFlag, func(n *readersState) { n.writer = 1 })
	}
}

func (t *readersStep) FlagLayer() {
	t.deletes(deleterFlag, deleterStage, func(n *readersState) { n.record = 0 })
}

// StageLayer moves the layer aside, or cannot.
func (t *readersStep) StageLayer() {
	t.deletes(deleterStage, deleterUnlock, func(n *readersState) { n.home = 0 })
	if t.s.home != 0 {
		t.deletes(deleterStage, deleterUnlock, func(*readersState) {})
	}
}

func (t *readersStep) UnlockToRemove() {
	t.deletes(deleterUnlock, deleterRemove, func(n *readersState) { n.writer = 0 })
}

func (t *readersStep) Unlink(f uint8) {
	if !t.not(has(t.s.names[1], f), `f \in names[1]`) {
		t.deletes(deleterRemove, deleterRemove, func(n *readersState) { n.names[1] &^= 1 << f })
	}
}

// Truncates, for Unlink: the file is truncated first.
func (t *readersStep) Truncates(f uint8) {
	if !has(t.s.whole[1], f) {
		t.Unlink(f)
	} else if has(t.s.names[1], f) {
		t.deletes(deleterRemove, deleterRemove, func(n *readersState) { n.whole[1] &^= 1 << f })
	}
}

// MakeAgain makes another layer of the id.
func (t *readersStep) MakeAgain() {
	if !t.not(t.s.names[1] == 0, "names[1] = {}") && !t.not(t.s.shared == 0, "shared = {}") {
		t.deletes(deleterRemove, deleterMade, func(n *readersState) { n.record, n.home = 2, 2 })
	}
}

// finds is the guard of a reader that looks for the record.
func (t *readersStep) finds(r uint8, kind uint8) bool {
	return !t.not(has(kind, r), `r \in Lister, r \in Checker`) && !t.not(t.s.writer == 0, "~writer") && !t.not(t.s.record != 0, "record # 0")
}

func (t *readersStep) LockToRead(r uint8) {
	if t.finds(r, t.m.lister) {
		t.reads(r, readerIdle, readerLocked, func(n *readersState) {
			n.knows[r] = n.record
			n.shared |= 1 << r
		})
	}
}

func (t *readersStep) ListLocked(r uint8) {
	t.reads(r, readerLocked, readerUnlock, func(n *readersState) { n.of[r], n.todo[r] = n.home, n.names[n.home] })
}

// ListsLater, for ListLocked: the list is made after the lock was dropped.
func (t *readersStep) ListsLater(r uint8) {
	t.reads(r, readerLocked, readerList, func(n *readersState) {
		n.of[r] = n.home
		n.shared &^= 1 << r
	})
}

func (t *readersStep) UnlockToRead(r uint8) {
	t.reads(r, readerUnlock, readerRead, func(n *readersState) { n.shared &^= 1 << r })
}

func (t *readersStep) LookUp(r uint8) {
	if t.finds(r, t.m.checker) {
		t.reads(r, readerIdle, readerOpen, func(n *readersState) { n.knows[r] = n.record })
	}
}

// OpenUnlocked opens what is at the path.
func (t *readersStep) OpenUnlocked(r uint8) {
	then := uint8(readerList)
	if t.s.home == 0 {
		then = readerDone
	}
	t.reads(r, readerOpen, then, func(n *readersState) {
		n.of[r] = n.home
		if n.home != n.knows[r] {
			n.half |= 1 << r
		}
		if n.home == 0 {
			n.told[r] = toldError
		}
	})
}

func (t *readersStep) ListUnlocked(r uint8) {
	t.reads(r, readerList, readerRead, func(n *readersState) {
		n.todo[r] = n.names[n.of[r]]
		if n.todo[r] != t.m.files {
			n.half |= 1 << r
		}
	})
}

// ready is the guard of a reader that comes to the file f; named: it is there.
func (t *readersStep) ready(r, f uint8, named bool) bool {
	return !t.not(t.s.fd[r] == 0, "fd[r] = None") && !t.not(has(t.s.todo[r], f), `f \in todo[r]`) &&
		!t.not(has(t.s.names[t.s.of[r]], f) == named, `f \in names[of[r]]`)
}

func (t *readersStep) OpenFile(r, f uint8) {
	if t.ready(r, f, true) {
		t.reads(r, readerRead, readerRead, func(n *readersState) { n.fd[r] = f })
	}
}

func (t *readersStep) FileMissing(r, f uint8) {
	if t.ready(r, f, false) {
		t.reads(r, readerRead, readerDone, func(n *readersState) { n.told[r] = toldError })
	}
}

// SkipsMissing, for FileMissing: a file that is gone is left out.
func (t *readersStep) SkipsMissing(r, f uint8) {
	if t.ready(r, f, false) {
		t.reads(r, readerRead, readerRead, func(n *readersState) {
			n.todo[r] &^= 1 << f
			n.half |= 1 << r
		})
	}
}

func (t *readersStep) ReadFile(r uint8) {
	if t.not(t.s.fd[r] != 0, "fd[r] # None") {
		return
	}
	t.reads(r, t.s.pc[r], t.s.pc[r], func(n *readersState) {
		n.todo[r] &^= 1 << n.fd[r]
		if !has(n.whole[n.of[r]], n.fd[r]) {
			n.half |= 1 << r
		}
		n.fd[r] = 0
	})
}

// EndRead ends the reading; a lister reports, a checker asks first.
func (t *readersStep) EndRead(r uint8) {
	if t.not(t.s.fd[r] == 0, "fd[r] = None") || t.not(t.s.todo[r] == 0, "todo[r] = {}") {
		return
	}
	if has(t.m.lister, r) {
		t.reads(r, readerRead, readerDone, func(n *readersState) { n.told[r] = toldLayer })
	} else {
		t.reads(r, readerRead, readerAsk, func(*readersState) {})
	}
}

func (t *readersStep) Ask(r uint8) {
	t.ask(r, func(s *readersState) bool { return s.record == s.knows[r] })
}

// AsksForId, for Ask: it is asked for the id alone.
func (t *readersStep) AsksForId(r uint8) {
	t.ask(r, func(s *readersState) bool { return s.record != 0 })
}

func (t *readersStep) ask(r uint8, ok func(s *readersState) bool) {
	if t.not(t.s.writer == 0, "~writer") {
		return
	}
	t.reads(r, readerAsk, readerDone, func(n *readersState) {
		n.told[r] = toldError
		if ok(n) {
			n.told[r] = toldLayer
		}
	})
}

// DoesNotAsk, for Ask: nobody asks.
func (t *readersStep) DoesNotAsk(r uint8) {
	t.reads(r, readerAsk, readerDone, func(n *readersState) { n.told[r] = toldLayer })
}

func (m *Readers) textOf(s *readersState) string {
	files := func(set uint8) string { return setText(set, m.Config.File, ",") }
	lives := func(sets [3]uint8) string { return "<<" + files(sets[1]) + "," + files(sets[2]) + ">>" }
	var lines []string
	say := func(name, value string) { lines = append(lines, name+"="+value) }
	of := func(name string, value func(r int) string) {
		lines = append(lines, string(appendFunction([]byte(name+"="), m.readers, value)))
	}
	number := func(a [maxReaders + 1]uint8) func(int) string { return func(r int) string { return fmt.Sprint(a[r]) } }
	of("fd", func(r int) string { return nameOf(m.Config.File, s.fd[r]) })
	say("half", setText(s.half, m.readers, ","))
	say("home", fmt.Sprint(s.home))
	of("knows", number(s.knows))
	say("names", lives(s.names))
	of("of", number(s.of))
	of("pc", func(r int) string { return readerNames[s.pc[r]] })
	say("record", fmt.Sprint(s.record))
	say("shared", setText(s.shared, m.readers, ","))
	say("step", deleterNames[s.step])
	of("todo", func(r int) string { return files(s.todo[r]) })
	of("told", func(r int) string { return toldNames[s.told[r]] })
	say("whole", lives(s.whole))
	say("writer", markNames[s.writer])
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
