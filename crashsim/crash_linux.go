package crashsim

import (
	"fmt"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// A crasher goes through everything that power loss can leave of journals,
// recovers from it, and does the same to the journal of the recovery.
type crasher struct {
	scenario *Scenario
	model    disk.Durability
	shard    Shard
	batches  []batch
	want     world.Want
	levels   []*level            // what recovers from the first crash, from the second, …
	seen     map[uint64]uint8    // trees, and how many levels were spent on them
	journals map[uint64]struct{} // journals whose crashes were tried

	counts Counts
	found  func(f world.Finding, crashes []crash, tree uint64)
	path   []crash
}

// A level is the disk on which recovery from the n-th crash runs.
type level struct {
	*machine
	log  disk.Log
	tree disk.Tree // what the crash left
}

// A crash is where a journal was cut off, and what of it was lost.
type crash struct {
	log *disk.Log
	at  int // entries of the journal
	set uint64
}

// lost are the places in the journal of what was lost.
func (c crash) lost() (places []int) {
	for i := range c.log.Len() {
		if c.set>>i&1 == 0 {
			places = append(places, c.log.Place(i))
		}
	}
	return places
}

// recoverer is what a recovering process is called; ids that it draws are none
// that a former one drew.
const recoverer = 'R'

func newCrasher(s *Scenario, model disk.Durability, nested int, shard Shard) (*crasher, error) {
	c := &crasher{
		scenario: s, model: model, shard: shard, batches: s.batches(), want: s.want(),
		seen: make(map[uint64]uint8), journals: make(map[uint64]struct{}),
	}
	for n := range nested + 1 {
		w, err := newMachine(s, s.options(), []byte{recoverer + byte(n)}, []func(*actor) error{nil})
		if err != nil {
			return nil, err
		}
		w.actors[0].program = s.afterCrash(w.disk, c.batches)
		c.levels = append(c.levels, &level{machine: w})
	}
	return c, nil
}

// power tries every crash at the end of the journal that log has, which began
// with the tree base. It is the n-th crash, from 0.
func (c *crasher) power(n int, base *disk.Tree, log *disk.Log, at int) (err error) {
	c.counts.CrashPoints++
	if n > 0 {
		c.counts.Nested++
	}
	left := uint8(len(c.levels) - n)
	log.Survivors(base.Sums(), func(set uint64, sums *disk.Sum) bool {
		c.counts.States++
		hash := disk.Fold(*sums)
		spent := c.seen[hash]
		if spent >= left {
			return true
		}
		c.seen[hash] = left
		if spent == 0 {
			c.counts.Trees++
		}
		c.path = append(c.path[:n], crash{log, at, set})
		err = c.recover(n, base, hash, spent == 0)
		return err == nil
	})
	return err
}

// lose makes the tree that a crash leaves of base: the set of what survives.
func (l *level) lose(base *disk.Tree, log *disk.Log, set uint64) error {
	if err := l.reset(base); err != nil {
		return err
	}
	for i := range log.Len() {
		if set>>i&1 != 0 {
			l.disk.Redo(log.Change(i))
		}
	}
	return nil
}

// recover checks the tree that a crash has left, runs recovery on it and, if that comes
// to its end, checks again. Nothing is checked if nobody hears of it.
func (l *level) recover(want world.Want, ends bool, found func(world.Finding)) {
	check := func() {
		if found != nil {
			for _, f := range world.Check(look(l.disk), &want) {
				found(f)
			}
		}
	}
	check()
	l.disk.Freeze(&l.tree)
	l.disk.Record()
	a := l.actors[0]
	err := a.run()
	if found == nil {
		return
	}
	if err != nil {
		found(world.Finding{Claim: world.CallsSucceed, Path: "recovery", Detail: a.says(err)})
	}
	if !ends {
		return
	}
	if open := a.process.Open(); open != 1 {
		found(world.Finding{Claim: world.CallsSucceed, Path: "recovery", Detail: fmt.Sprintf("has %d descriptors open at its end, not 1", open)})
	}
	want.NoOrphans, want.Recovered = true, true
	check()
}

// recover recovers from the last crash of the path, and crashes that.
func (c *crasher) recover(n int, base *disk.Tree, hash uint64, first bool) error {
	l, last := c.levels[n], c.path[n]
	if err := l.lose(base, last.log, last.set); err != nil {
		return err
	}
	if l.disk.Hash() != hash {
		return fmt.Errorf("crashsim: a tree that is not the one its hash was of; this is a fault of the simulator")
	}
	var found func(world.Finding)
	if first {
		found = func(f world.Finding) { c.found(f, c.path[:n+1], hash) }
	}
	c.counts.Recoveries++
	l.recover(c.want, true, found)
	if n+1 == len(c.levels) {
		return nil
	}
	l.log.Reset(c.model)
	journal := l.disk.Journal()
	for i := range journal {
		if !l.log.Append(&journal[i]) {
			return fmt.Errorf("scenario %v: recovery makes more than %d changes; make it smaller", c.scenario, disk.MaxPending)
		}
		if journal[i].Kind == disk.Sync {
			continue
		}
		if err := c.power(n+1, &l.tree, &l.log, i+1); err != nil {
			return err
		}
	}
	return nil
}

// crash tries every crash at the end of an explorer's journal, once.
func (c *crasher) crash(e *explorer, journal uint64) error {
	if _, known := c.journals[journal]; known || c.shard.N > 1 && mix(journal)%uint64(c.shard.N) != uint64(c.shard.I-1) {
		return nil
	}
	c.journals[journal] = struct{}{}
	changes := e.disk.Journal()
	if n := len(changes); n > 0 && changes[n-1].Kind == disk.Sync {
		return nil // nothing that could not be left before
	}
	var log disk.Log
	log.Reset(c.model)
	for i := range changes {
		if !log.Append(&changes[i]) {
			return fmt.Errorf("scenario %v: more than %d changes; make it smaller", c.scenario, disk.MaxPending)
		}
	}
	return c.power(0, &e.base, &log, len(changes))
}
