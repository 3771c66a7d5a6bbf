package trace

import (
	"fmt"
	"slices"

	"github.com/afterlock/afterlock/model"
)

// A config is one state that the calls so far allow, and which of the open calls
// have taken effect in it.
type config struct {
	state model.State
	real  [maxSlots + 2]uint8 // the number of the real file that stands for each inode of the model, 0 if nobody looked
	taken uint8               // bit slot-1: its call; bit slot+3: its crash
}

func takenBit(slot uint8) uint8   { return 1 << (slot - 1) }
func crashedBit(slot uint8) uint8 { return 1 << (slot + 3) }

// A player applies operations to configs. One goroutine uses it.
type player struct {
	m    *machine
	part *partition
	out  []config // of the last operation

	// listen hears of every step that is taken; may be nil.
	listen func(m *model.Protocol, from *model.State, action uint16)

	explains bool   // reasons are wanted
	why      string // why the last operation is not possible
}

// step takes one action that leads to one state.
func (y *player) step(s *model.State, action uint16) bool { return y.stepOf(y.m.unnamed, s, action) }

func (y *player) stepOf(x *model.Stepper, s *model.State, action uint16) bool {
	to := x.Take(s, action)
	if len(to) == 0 {
		if y.explains {
			y.why = fmt.Sprintf("%v: the guard %s is false", y.m.protocol.Actions()[action], x.FalseGuard())
		}
		return false
	}
	y.took(s, action)
	*s = to[0]
	s.Crashes, s.Failures = 0, 0 // bounds for TLC; the protocol has none
	return true
}

func (y *player) took(from *model.State, action uint16) {
	if y.listen != nil {
		y.listen(y.m.protocol, from, action)
	}
}

// lands takes one action, which must lead to a place that agrees with what the
// call returned.
func (y *player) lands(s *model.State, action uint16, slot uint8, places ...model.PC) bool {
	if !y.step(s, action) {
		return false
	}
	for _, pc := range places {
		if s.PC[slot] == pc {
			return true
		}
	}
	if y.explains {
		y.why = fmt.Sprintf("%v leads to pc = %q, and that is not what the call returned", y.m.protocol.Actions()[action], model.PCName(s.PC[slot]))
	}
	return false
}

// want is a condition on the state that the result of the call says holds.
func (y *player) want(ok bool, otherwise string) bool {
	if !ok {
		y.why = otherwise
	}
	return ok
}

// is says that an inode of the model is a real file, and that this contradicts
// nothing that was seen before.
func (y *player) is(c *config, inode model.Inode, f *file) bool {
	if f == nil || f.index == 0 {
		return true
	}
	if c.real[inode] == 0 {
		c.real[inode] = f.index
	}
	return y.want(c.real[inode] == f.index, "in the model that is another file than the inode number says")
}

// apply puts the configs that an operation leads to in out.
func (y *player) apply(o *op, from *config) {
	y.out, y.why = y.out[:0], ""
	c := *from
	slot, s, m := o.session.slot, &c.state, y.m
	c.taken |= takenBit(slot)
	ok := false
	switch o.kind {
	case opSawLock, opSawData:
		ok = y.list(s, slot, o.kind)
	case opOpenUnnamed:
		if ok = y.step(s, m.on("OpenUnnamed", slot, 0)); ok {
			c.real[s.Fd[slot]] = o.file.index
		}
	case opCreateLock:
		ok = y.stepOf(m.name, s, m.on("CreateLock", slot, 0)) && y.want(s.PC[slot] == model.Created, "lock-<id> exists in the model")
		if ok {
			c.real[s.Fd[slot]] = o.file.index
		}
	case opCreateLockTaken: // there is no descriptor: the response alone
		ok = y.stepOf(m.name, s, m.on("CreateLock", slot, 0)) && y.want(s.PC[slot] == model.Closing, "lock-<id> does not exist in the model") &&
			y.step(s, m.on("Close", slot, 0))
	case opOpenLock:
		ok = y.lands(s, m.on("OpenLock", slot, 0), slot, model.Opened) && y.is(&c, s.Fd[slot], o.file)
	case opOpenLockGone:
		ok = y.lands(s, m.on("OpenLock", slot, 0), slot, model.Closing) && y.step(s, m.on("Close", slot, 0))
	case opTakeLock:
		ok = y.lands(s, m.on("TakeLock", slot, 0), slot, model.Locked, model.Taken)
	case opTakeLockBusy:
		ok = y.lands(s, m.on("TakeLock", slot, 0), slot, model.Closing)
	case opLinkLock:
		ok = y.lands(s, m.on("LinkLock", slot, 0), slot, model.Named, model.Claimed)
	case opLinkLockTaken:
		ok = y.lands(s, m.on("LinkLock", slot, 0), slot, model.Closing)
	case opIsNamed:
		ok = y.lands(s, m.on("StatName", slot, 0), slot, model.Named, model.Claimed, model.Verified) && y.is(&c, s.Lock[theID], o.file)
	case opIsNotNamed:
		ok = y.lands(s, m.on("StatName", slot, 0), slot, model.Closing) &&
			y.want((o.file == nil) == (s.Lock[theID] == model.None), "whether lock-<id> exists differs") &&
			(o.file == nil || y.is(&c, s.Lock[theID], o.file))
	case opRemoveLock, opRemoveLockGone:
		// ENOENT: a stranger was faster, and the name is gone all the same.
		ok = y.want((s.Lock[theID] == model.None) == (o.kind == opRemoveLockGone), "whether lock-<id> exists differs") &&
			y.step(s, m.on("RemoveLock", slot, 0))
	case opClose:
		// A removal that met a failure goes on with what else it can remove, and
		// gives up now; the model gives up at once. A failing call changes nothing,
		// so it may as well be the last one.
		if o.failed && slices.Contains(canGiveUp, s.PC[slot]) {
			y.step(s, m.on("CallFails", slot, 0))
		}
		ok = y.step(s, m.on("Close", slot, 0))
	case opFails:
		ok = y.step(s, m.on("CallFails", slot, 0))
	case opMakeData:
		y.makeData(o, &c)
		return
	default:
		ok = y.applyData(o, &c)
	}
	if ok {
		y.out = append(y.out, c)
	}
}

// canGiveUp is where a removal is that has failed: it has not begun, or is not through.
var canGiveUp = []model.PC{model.Live, model.Claimed, model.Emptying, model.InsideTree}

// list takes the step of List that found what the process's listing showed.
func (y *player) list(s *model.State, slot uint8, kind opKind) bool {
	wants := model.PC(model.SawLock)
	if kind == opSawData {
		wants = model.SawData
	}
	to := y.m.unnamed.Take(s, y.m.on("List", slot, 0))
	for i := range to {
		if to[i].PC[slot] == wants {
			y.took(s, y.m.on("List", slot, 0))
			*s = to[i]
			return true
		}
	}
	if y.explains && len(to) == 0 {
		y.why = fmt.Sprintf("%v: the guard %s is false", y.m.protocol.Actions()[y.m.on("List", slot, 0)], y.m.unnamed.FalseGuard())
	} else if y.explains {
		y.why = "the data is not there in the model"
	}
	return false
}

// crash applies the death of the process in a slot. One that holds nothing takes
// nothing with it.
func (y *player) crash(slot uint8, from *config) {
	y.out = y.out[:0]
	c := *from
	if c.state.PC[slot] == model.Idle || y.step(&c.state, y.m.on("Crash", slot, 0)) {
		c.taken |= crashedBit(slot)
		y.out = append(y.out, c)
	}
}
