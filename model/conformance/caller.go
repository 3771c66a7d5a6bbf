//go:build linux

package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/tempdir"
)

// An order is the next operation of a process's caller.
type order struct {
	Op   operation
	Item model.Item
	ID   model.ID // to recover, or to inspect
	Saw  model.PC // what the listing shows of it: SawLock, SawData or SawBoth
}

type operation uint8

const (
	none operation = iota
	opCreate
	opStageDeletion
	opStageAddition
	opCommit
	opClose
	opCloseStaged // close the long way, as an owner does that has staged something
	opRelease
	opRecover
	opInspect
)

// live is the life of a process: its caller does what it is ordered to. It uses
// nothing but the library's public functions.
func (p *process) live() {
	options := []tempdir.Option{kernel.With[tempdir.Option](p.kernel), tempdir.OrphanGrace(0)}
	if p.mixed {
		options = append(options, tempdir.MixedFleet(p.grace, p.grace)) // know upstream's ids
	}
	root, err := tempdir.Open(p.path, options...)
	if err != nil {
		panic(err)
	}
	for {
		p.pause(stop{Place: atIdle, Err: errorText(err)})
		p.because, p.swept = nil, false
		switch p.order.Op {
		case opCreate:
			var dir *tempdir.Dir
			dir, err = root.Create()
			if err == nil {
				err = p.own(dir)
			}
		case opRecover:
			id := p.world.ids[p.order.ID]
			var report tempdir.Report
			report, err = root.Recover(context.Background())
			p.judgeReport(id, report)
		case opInspect:
			id := p.world.ids[p.order.ID]
			var instances []tempdir.Instance
			instances, err = root.Instances(context.Background())
			if err == nil {
				err = p.judgeInstances(id, instances)
			}
		default:
			panic(fmt.Sprintf("order %v without an instance", p.order.Op))
		}
		p.ended(err)
	}
}

// own is the life of an owner, from Create's response to that of Close or
// Release.
func (p *process) own(dir *tempdir.Dir) error {
	additions := map[model.Item]*tempdir.Addition{}
	p.staged, p.owns = false, dir.ID()
	p.pause(stop{Place: atReply, Reply: model.OK})
	for {
		p.pause(stop{Place: atLive})
		x := p.order.Item
		switch p.order.Op {
		case opStageDeletion:
			p.staged = true
			p.responds(dir.StageDeletion(p.world.home(x)))
		case opCommit:
			a := additions[x]
			if a == nil {
				a, _ = dir.StageAddition() // nothing will be there
				p.staged = true
			}
			p.responds(a.Commit(p.world.home(x)))
		case opStageAddition:
			a, err := dir.StageAddition()
			if err != nil {
				panic(err)
			}
			additions[x], p.staged = a, true
			if err := p.world.makeTree(a.Path(), x); err != nil {
				panic(err)
			}
		case opCloseStaged:
			if !p.staged {
				_, _ = dir.StageAddition() // reserves, and makes no call
			}
			return dir.Close(context.Background())
		case opClose:
			return dir.Close(context.Background())
		case opRelease:
			return dir.Release()
		default:
			panic(fmt.Sprintf("order %v with an instance", p.order.Op))
		}
	}
}

// responds is the stop after an operation on an instance has responded.
func (p *process) responds(err error) {
	s := stop{Place: atReply, Reply: model.Failed, Err: errorText(err), Committed: errors.Is(err, tempdir.ErrCommitted)}
	switch {
	case err == nil:
		s.Reply = model.OK
	case errors.Is(err, tempdir.ErrVictimGone):
		s.Reply = model.Missing
	case errors.Is(err, tempdir.ErrInstanceGone), errors.Is(err, tempdir.ErrNothingStaged):
		s.Reply = model.Lost
	}
	if s.Reply == model.Failed && !p.free {
		p.judge(err, p.because)
		p.because = nil
	}
	p.pause(s)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// ended is where Create, Close and Recover end. They report an error if and only
// if a call failed, and end what failing calls they met.
func (p *process) ended(err error) {
	wants := p.because
	if p.swept && !slices.Contains(wants, tempdir.ErrLeftover) {
		wants = append(wants, tempdir.ErrInstanceGone)
	}
	p.judge(err, wants)
	p.broken, p.hides, p.owns = 0, false, ""
}

// home is the path by which its caller knows a tree.
func (w *world) home(x model.Item) string { return w.homes[x] }

// makeTree makes a tree with all its files.
func (w *world) makeTree(path string, x model.Item) error {
	if err := makeFiles(path, w.files); err != nil {
		return err
	}
	return w.follow(x, path)
}

var fileNames = [...]string{"1", "2", "3"}
