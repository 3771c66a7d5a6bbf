package trace

import "github.com/afterlock/afterlock/model"

// makeData creates the instance, responds, and stages the additions that the
// trace will show later: when the caller fills one is not in the trace, and
// nobody else can see when. An addition that is not committed may be incomplete
// if its process is killed: the kill cuts the caller's work off too.
func (y *player) makeData(o *op, c *config) {
	slot, m := o.session.slot, y.m
	if !y.lands(&c.state, m.on("MakeData", slot, 0), slot, model.OK) || !y.step(&c.state, m.on("Return", slot, 0)) {
		return
	}
	y.out = append(y.out, *c)
	if o.session.recoverer {
		return
	}
	for _, e := range y.part.entries {
		if e.victim {
			continue
		}
		x := e.item
		for i := range len(y.out) {
			if !y.step(&y.out[i].state, m.on("StageAddition", slot, x)) {
				y.out = y.out[:0]
				return
			}
			if e.committed || o.session.process.gone == never {
				continue
			}
			for files := range uint8(m.files) {
				cut := y.out[i]
				cut.state.Tree[x] = files
				y.out = append(y.out, cut)
			}
		}
	}
}

// applyData is apply for calls about data.
func (y *player) applyData(o *op, c *config) bool {
	slot, x, s, m := o.session.slot, o.item, &c.state, y.m
	switch o.kind {
	case opMakeDataTaken:
		return y.lands(s, m.on("MakeData", slot, 0), slot, model.Emptied)
	case opStage:
		return y.step(s, m.on("Invoke", slot, x)) && y.lands(s, m.on("StageDeletion", slot, 0), slot, model.OK) && y.step(s, m.on("Return", slot, 0))
	case opStageMissing:
		// Another instance took the victim between the invocation and this. That
		// the victim was taken at all is checked for all ids together.
		if !y.step(s, m.on("Invoke", slot, x)) {
			return false
		}
		s.Place[x] = model.PlaceGone
		return y.lands(s, m.on("StageDeletion", slot, 0), slot, model.Missing) && y.step(s, m.on("Return", slot, 0))
	case opCommit:
		return y.step(s, m.on("Invoke", slot, x)) && y.lands(s, m.on("Commit", slot, 0), slot, model.OK) && y.step(s, m.on("Return", slot, 0))
	case opStageFails, opCommitFails:
		return y.step(s, m.on("Invoke", slot, x)) && y.step(s, m.on("CallFails", slot, 0)) && y.step(s, m.on("Return", slot, 0))
	case opOpenData:
		return y.lands(s, m.on("OpenDirectory", slot, 0), slot, model.Emptying)
	case opOpenDataGone:
		return y.lands(s, m.on("OpenDirectory", slot, 0), slot, model.Emptied)
	case opOpenEntry:
		return y.openEntry(o, c)
	case opRemoveEntry, opRemoveTree:
		return y.want(s.PC[slot] == model.InsideTree && s.Arg[slot] == x, `pc[p] = "inside" of this tree is false`) &&
			y.want((s.Tree[x] > 0) == (o.kind == opRemoveEntry), "whether the tree has files left differs") &&
			y.step(s, m.on("RemoveEntry", slot, 0))
	case opRemoveData:
		return y.want(s.Data&(1<<theID) != 0, `id \in data is false`) && y.step(s, m.on("RemoveData", slot, 0))
	case opRemoveDataGone: // the same outcome (rule 12)
		return y.want(s.Data&(1<<theID) == 0, `temp-dir-<id> exists in the model`) && y.step(s, m.on("RemoveData", slot, 0))
	}
	return y.want(false, "the validator does not know this call")
}

// openEntry enters a tree. A process that is in it lists it again: no step. One
// that is in another, and met a failure there, leaves that as it is. The model
// knows no leaving: there the removal gives up, and another one begins. Both
// leave the same on disk, and this one keeps the lock all the while, which
// allows others less.
func (y *player) openEntry(o *op, c *config) bool {
	slot, x, s := o.session.slot, o.item, &c.state
	if s.PC[slot] == model.InsideTree {
		if s.Arg[slot] == x {
			return true
		}
		if o.failed {
			s.PC[slot], s.Arg[slot] = model.Emptying, model.None
		}
	}
	return y.step(s, y.m.on("OpenEntry", slot, x))
}
