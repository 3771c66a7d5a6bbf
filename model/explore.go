package model

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// Options say how to explore.
type Options struct {
	// Workers is the number of goroutines; 0 means one for each processor. What
	// is found does not depend on it.
	Workers int
	// StopAtFirst ends the exploration at the first broken property instead of
	// exploring the whole graph.
	StopAtFirst bool
}

// An exploration is the breadth-first search of one system.
type exploration struct {
	sys       system
	store     store
	levels    [][shardCount]uint32 // states of each shard, before each level
	generated int64
	counts    []int64 // of steps, by action instance
	deadlocks int64
	broken    *found // the first broken property
}

// found is where a property is broken: in a state, or by a step from it.
type found struct {
	property string
	at       node
	isStep   bool
	step     Step
}

// A unit is up to unitSize states of one shard, expanded by one worker into
// one list of new steps for each shard. Units are taken up by any worker and
// their results used in their order, so that nothing depends on the workers.
type unit struct {
	shard    int
	from, to uint32
	out      [shardCount][]candidate
	broken   *found
}

type candidate struct {
	key    Key
	hash   uint64
	parent node
}

const (
	unitSize  = 256
	batchSize = 64 // units expanded before their steps are added
)

// worker is the memory of one worker.
type worker struct {
	expander  expander
	steps     []Step
	counts    []int64
	generated int64
	deadlocks int64
}

// explore searches the whole graph, or up to the first broken property. It
// returns early, with the error of ctx, when that is done.
func explore(ctx context.Context, sys system, o Options) (*exploration, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	e := &exploration{sys: sys, generated: 1, counts: make([]int64, len(sys.actions()))}
	invariants, stepProperties := sys.properties()
	workers := make([]*worker, o.Workers)
	for i := range workers {
		workers[i] = &worker{expander: sys.newExpander(), counts: make([]int64, len(e.counts))}
	}
	first := sys.initial()
	e.store.shards[shardOf(first.hash())].add(first, first.hash(), noNode)
	units := make([]unit, batchSize)
	var before [shardCount]uint32
	for {
		e.levels = append(e.levels, before)
		after := e.counted()
		pending := cut(before, after)
		for len(pending) > 0 && ctx.Err() == nil {
			batch := units[:min(batchSize, len(pending))]
			for i := range batch {
				batch[i].shard, batch[i].from, batch[i].to = pending[i].shard, pending[i].from, pending[i].to
			}
			pending = pending[len(batch):]
			parallel(workers, len(batch), func(w *worker, i int) { e.expand(w, &batch[i], invariants, stepProperties) })
			e.note(batch)
			parallel(workers, shardCount, func(_ *worker, i int) { e.insert(i, batch) })
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		before = after
		if after == e.counted() || o.StopAtFirst && e.broken != nil {
			break
		}
	}
	for _, w := range workers {
		e.generated += w.generated
		e.deadlocks += w.deadlocks
		for i, n := range w.counts {
			e.counts[i] += n
		}
	}
	return e, nil
}

func (e *exploration) counted() (n [shardCount]uint32) {
	for i := range e.store.shards {
		n[i] = e.store.shards[i].count
	}
	return n
}

func (e *exploration) distinct() int64 {
	n := int64(0)
	for _, count := range e.counted() {
		n += int64(count)
	}
	return n
}

// cut divides a level into units.
func cut(before, after [shardCount]uint32) (units []unit) {
	for s := range before {
		for from := before[s]; from < after[s]; from += unitSize {
			units = append(units, unit{shard: s, from: from, to: min(from+unitSize, after[s])})
		}
	}
	return units
}

// parallel calls do for each index below n, from all workers.
func parallel(workers []*worker, n int, do func(w *worker, i int)) {
	if len(workers) == 1 || n == 1 {
		for i := range n {
			do(workers[0], i)
		}
		return
	}
	var (
		group sync.WaitGroup
		taken atomic.Int64
	)
	for _, w := range workers {
		group.Go(func() {
			for i := int(taken.Add(1)) - 1; i < n; i = int(taken.Add(1)) - 1 {
				do(w, i)
			}
		})
	}
	group.Wait()
}

func (e *exploration) expand(w *worker, u *unit, invariants, stepProperties []string) {
	for i := range u.out {
		u.out[i] = u.out[i][:0]
	}
	u.broken = nil
	for i := u.from; i < u.to; i++ {
		at := nodeOf(u.shard, i)
		steps, broken := w.expander.expand(*e.store.shards[u.shard].at(i), w.steps[:0])
		w.steps = steps
		if broken > 0 && (u.broken == nil || u.broken.isStep) {
			u.broken = &found{property: invariants[broken-1], at: at}
		}
		for _, s := range steps {
			if s.broken > 0 && u.broken == nil {
				u.broken = &found{property: stepProperties[s.broken-1], at: at, isStep: true, step: s}
			}
			w.counts[s.Action]++
			hash := s.To.hash()
			to := shardOf(hash)
			u.out[to] = append(u.out[to], candidate{s.To, hash, at})
		}
		w.generated += int64(len(steps))
		if len(steps) == 0 {
			w.deadlocks++
		}
	}
}

// note keeps the first broken property: of one level, one of a state before one
// of a step, whose counterexample is one state longer.
func (e *exploration) note(batch []unit) {
	for i := range batch {
		f := batch[i].broken
		if f == nil {
			continue
		}
		sameLevel := e.broken != nil && e.broken.at.index() >= e.levels[len(e.levels)-1][e.broken.at.shard()]
		if e.broken == nil || sameLevel && e.broken.isStep && !f.isStep {
			e.broken = f
		}
	}
}

func (e *exploration) insert(shard int, batch []unit) {
	s := &e.store.shards[shard]
	for i := range batch {
		for _, c := range batch[i].out[shard] {
			s.add(c.key, c.hash, c.parent)
		}
	}
}
