package crashsim

import (
	"context"
	"fmt"
	"math/bits"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// An explorer goes through every interleaving of the scenario's processes, call
// by call, with kills. Library code cannot be copied in the middle, so a branch
// is reached by running from the start again. Branches end where a state was
// seen before: the same names, the same descriptors and locks, and processes
// that have seen the same answers.
type explorer struct {
	*machine
	seen     map[uint64]struct{} // states
	schedule []byte
	handled  int // changes of the journal that were looked at
	kills    int

	// What was done so far, as far as its order can matter after power loss:
	// two orders of changes that carry each other in no model are one. Not kept
	// if the model is Ordered, where the names alone tell what can survive.
	model  disk.Durability
	log    disk.Log
	own    disk.Log // the log under the model itself, for what is durable
	hashes []uint64 // per change of the journal
	trace  uint64

	// changed hears of every change, with a hash of the journal up to it.
	changed func(journal uint64) error
	found   func(world.Finding)
	enough  func() bool // says when to stop; may be nil

	states, steps int64
}

// Actors are called A, B and C in schedules; a, b and c are their kills.
const (
	firstActor = 'A'
	firstKill  = 'a'
)

func newExplorer(s *Scenario, model disk.Durability) (*explorer, error) {
	var names []byte
	programs := s.programs()
	for i := range programs {
		names = append(names, firstActor+byte(i))
	}
	w, err := newMachine(s, s.options(), names, programs)
	if err != nil {
		return nil, err
	}
	return &explorer{machine: w, seen: make(map[uint64]struct{}), model: model}, nil
}

// restart runs a schedule from the start.
func (e *explorer) restart(schedule []byte) error {
	if err := e.reset(&e.base); err != nil {
		return err
	}
	e.handled, e.kills, e.trace, e.hashes = 0, 0, 0, e.hashes[:0]
	e.log.Reset(disk.PerDirectory)
	e.own.Reset(e.model)
	for _, a := range e.actors {
		a.start()
	}
	for i, choice := range schedule {
		if !e.may(choice) {
			return fmt.Errorf("schedule: %q is not possible at step %d", choice, i)
		}
		e.do(choice)
		if err := e.handle(false); err != nil {
			return err
		}
	}
	return nil
}

// may reports whether a choice is possible now.
func (e *explorer) may(choice byte) bool {
	i, kill := int(choice)-firstActor, false
	if choice >= firstKill {
		i, kill = int(choice)-firstKill, true
	}
	if i < 0 || i >= len(e.actors) || e.actors[i].status != running {
		return false
	}
	return !kill || e.kills < e.scenario.Kills
}

func (e *explorer) choices() (all []byte) {
	for i := range e.actors {
		for _, choice := range [2]byte{firstActor + byte(i), firstKill + byte(i)} {
			if e.may(choice) {
				all = append(all, choice)
			}
		}
	}
	return all
}

func (e *explorer) do(choice byte) {
	e.steps++
	if choice >= firstKill {
		e.kills++
		e.actors[choice-firstKill].kill()
		return
	}
	e.actors[choice-firstActor].step()
}

// handle looks at the changes that the last step made. New says that nobody
// has looked at them yet.
func (e *explorer) handle(isNew bool) error {
	journal := e.disk.Journal()
	for e.handled < len(journal) {
		c := &journal[e.handled]
		e.handled++
		last, err := e.append(c)
		if err != nil {
			return err
		}
		if !isNew {
			continue
		}
		for _, f := range e.guard(c) {
			e.found(f)
		}
		if err := e.changed(e.trace ^ mix(last)); err != nil {
			return err
		}
	}
	return nil
}

// append adds a change to the trace and returns its hash there.
func (e *explorer) append(c *disk.Change) (hash uint64, err error) {
	if e.model == disk.Ordered {
		e.trace = e.disk.Hash()
		return c.Key(), nil
	}
	durable := e.own.Durable()
	if !e.log.Append(c) || !e.own.Append(c) {
		return 0, fmt.Errorf("scenario %v: more than %d changes; make it smaller", e.scenario, disk.MaxPending)
	}
	if c.Kind == disk.Sync {
		for now := e.own.Durable() &^ durable; now != 0; now &= now - 1 {
			i := bits.TrailingZeros64(now) // a half of a rename, maybe: which, says its kind
			e.trace += mix(e.hashes[e.own.Place(i)] + uint64(e.own.Change(i).Kind))
		}
		e.hashes = append(e.hashes, 0)
		return 0, nil
	}
	hash = c.Key()
	for needs := e.log.Needs(e.log.Len() - 1); needs != 0; needs &= needs - 1 {
		hash += e.hashes[e.log.Place(bits.TrailingZeros64(needs))]
	}
	hash = mix(hash)
	e.hashes = append(e.hashes, hash)
	e.trace += hash
	return hash, nil
}

// key is a hash of the state.
func (e *explorer) key() uint64 {
	h := e.disk.Hash() ^ mix(e.disk.Volatile()+e.trace)
	for _, a := range e.actors {
		x := uint64(a.status)
		if a.status == running {
			x += mix(a.history)
		}
		h = mix(h ^ x)
	}
	return h
}

// explore visits every state. It stops early if ctx is done.
func (e *explorer) explore(ctx context.Context) error {
	if err := e.restart(nil); err != nil {
		return err
	}
	if err := e.changed(0); err != nil { // the tree before anything happened
		return err
	}
	left := [][]byte{e.choices()} // what was not tried in each state on the way to this one
	e.states++
	behind := false
	for len(left) > 0 && (e.enough == nil || !e.enough()) {
		top := &left[len(left)-1]
		if len(*top) == 0 {
			left = left[:len(left)-1]
			behind = true
			continue
		}
		choice := (*top)[0]
		*top = (*top)[1:]
		e.schedule = e.schedule[:len(left)-1]
		if behind {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := e.restart(e.schedule); err != nil {
				return err
			}
		}
		e.do(choice)
		e.schedule = append(e.schedule, choice)
		if err := e.handle(true); err != nil {
			return err
		}
		behind = true
		key := e.key()
		if _, known := e.seen[key]; known {
			continue
		}
		e.seen[key] = struct{}{}
		e.states++
		if e.over() {
			e.end()
			continue
		}
		behind = false
		left = append(left, e.choices())
	}
	return nil
}

// over reports whether no process is running any more.
func (e *explorer) over() bool {
	for _, a := range e.actors {
		if a.status == running {
			return false
		}
	}
	return true
}

// end checks what processes that were not killed leave and say.
func (e *explorer) end() {
	want := e.scenario.want()
	want.NoOrphans, want.Recovered = true, e.kills == 0
	for i, a := range e.actors {
		want.Recovered = want.Recovered && !a.failed
		if a.status != finished {
			continue
		}
		if a.err == nil {
			e.scenario.done(&want, i)
		} else if !a.failed {
			e.found(world.Finding{Claim: world.CallsSucceed, Path: "process " + string(a.name), Detail: a.says(a.err)})
		}
		if n := a.process.Open(); n != 1 {
			e.found(world.Finding{Claim: world.CallsSucceed, Path: "process " + string(a.name), Detail: fmt.Sprintf("has %d descriptors open at its end, not 1", n)})
		}
	}
	for _, f := range world.Check(look(e.disk), &want) {
		e.found(f)
	}
}
