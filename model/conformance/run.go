//go:build linux

package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afterlock/afterlock/model"
)

// Run executes every edge of the model's state graph on the file system of a
// directory. Walks that together cover the graph go through logical processes;
// the world is compared with the state after each edge, when a walk first goes over
// it, after each failing call, and at the end of the walk; and in every state, when a
// walk first comes to it, the actions that are disabled are tried.
//
// The error is the context's, matches [errors.ErrUnsupported], or says that the
// directory cannot be used. How the code differs from the specification is in
// the report.
func Run(ctx context.Context, o Options) (report Report, err error) {
	m := model.Find(o.Model)
	if m == nil || m.Protocol == nil || m.Symmetry != "" {
		return report, fmt.Errorf("no model of the protocol without symmetry is called %q", o.Model)
	}
	return execute(ctx, m, o)
}

// execute is Run for a model that need not be in the manifest.
func execute(ctx context.Context, m *model.Model, o Options) (report Report, err error) {
	report.Model = m.Name
	if len(m.Protocol.Mounted) > 0 {
		if refused := mayMount(o.Dir); isEnvironment(refused) {
			return report, refused
		} else if refused != nil {
			return runInNamespace(ctx, o, refused)
		}
	}
	g, err := m.Graph(ctx, model.Options{})
	if err != nil {
		return report, err
	}
	report.Edges = int64(g.Edges())
	r := &run{Options: o, m: m, g: g, next: newPlanner(g).next, begin: time.Now(),
		first: make([]int, g.States()), visited: make([]atomic.Bool, g.States()), covered: make([]bool, g.Edges()), injected: map[injection]int64{}}
	if !o.Every {
		r.compared = make([]atomic.Bool, g.Edges())
	}
	for state, edges := 0, 0; state < g.States(); state++ {
		r.first[state] = edges
		edges += len(g.Out(state))
	}
	workers := o.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if n := len(m.Protocol.Upstream); n > 0 && n < len(procNames(m.Protocol)) {
		// Between fork and exec a child has what this process has open, and so
		// the locks that another worker's process has just dropped.
		workers = 1
	}
	var group sync.WaitGroup
	for range workers {
		group.Go(func() { r.failed(r.work(ctx)) })
	}
	group.Wait()
	report.Counts = r.counts
	report.Injected = int64(len(r.injected))
	for _, done := range r.covered {
		if done {
			report.EdgesRun++
		}
	}
	report.Elapsed = time.Since(r.begin)
	report.Divergence = r.divergence
	return report, r.err
}

// A run is what the workers share. Each of them has a world of its own.
type run struct {
	Options
	m     *model.Model
	g     *model.Graph
	begin time.Time
	first []int // number of a state's first edge

	mu         sync.Mutex
	next       func() walk   // nil: there is none left
	visited    []atomic.Bool // states in which the disabled actions were tried
	covered    []bool        // edges, by number
	compared   []atomic.Bool // edges after which the world was compared; nil: it is after each
	counts     Counts
	injected   map[injection]int64
	divergence *Divergence
	err        error
}

// work takes walks until there is none left.
func (r *run) work(ctx context.Context) (err error) {
	s, done, err := open(r.Dir, r.m)
	if err != nil {
		return err
	}
	defer func() {
		if failed := done(); err == nil {
			err = failed
		}
	}()
	var last walk
	for n := 1; ctx.Err() == nil; n++ {
		w := r.take(s)
		if w == nil || n&(n-1) == 0 && n > 1 { // it is slow, and what leaks goes on leaking
			names, err := s.leaked()
			if err != nil {
				return environmentError{err}
			}
			if len(names) > 0 {
				r.diverged(&Divergence{Model: r.m.Name, Step: len(last), Reason: leak(names), Schedule: written(r.g, r.m.Name, last, s.choices)})
				return nil
			}
		}
		if w == nil {
			return nil
		}
		last = w
		at, edge, failure := r.walk(s, w)
		if failure == nil {
			r.finished(w)
			continue
		}
		if isEnvironment(failure) {
			return failure
		}
		r.diverged(r.shortened(s, w, at, edge, failure))
		return nil
	}
	return ctx.Err()
}

func leak(names []string) string {
	return fmt.Sprintf("everybody is killed, and still open: %q", names)
}

// open makes a scheduler in a scratch directory; done removes it.
func open(dir string, m *model.Model) (s *scheduler, done func() error, err error) {
	return openWith(dir, m, Apart)
}

// openWith is open with upstream's processes somewhere.
func openWith(dir string, m *model.Model, where Where) (s *scheduler, done func() error, err error) {
	dir, err = os.MkdirTemp(dir, "afterlock-conformance-")
	if err != nil {
		return nil, nil, err
	}
	undo := func() error { return nil }
	if len(m.Protocol.Mounted) > 0 {
		if undo, err = isolate(dir); err != nil {
			return nil, nil, err
		}
	}
	if s, err = newScheduler(dir, m, where); err != nil {
		_ = undo()
		_ = os.RemoveAll(dir)
		return nil, nil, err
	}
	return s, func() error {
		s.killAll()
		for x := range s.world.trees {
			if s.world.trees[x].mount != "" {
				if err := s.world.unmount(model.Item(x)); err != nil {
					return err // and remove nothing
				}
			}
		}
		s.close()
		if err := undo(); err != nil {
			return err
		}
		return os.RemoveAll(dir)
	}, nil
}

// take returns the next walk, and adds up what the scheduler did meanwhile.
func (r *run) take(s *scheduler) walk {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.add(s.counts)
	s.counts = Counts{}
	for i, n := range s.injected {
		r.injected[i] += n
	}
	clear(s.injected)
	if r.divergence != nil || r.err != nil {
		return nil
	}
	if r.counts.Walks%256 == 0 && r.Progress != nil {
		r.Progress(fmt.Sprintf("%s: %d steps", r.m.Name, r.counts.Steps))
	}
	w := r.next()
	if w != nil {
		r.counts.Walks++
	}
	return w
}

// walk takes a walk. On failure it says where: the index of the step, and the
// edge, which is -1 if the state itself is what differs.
func (r *run) walk(s *scheduler, w walk) (at, edge int, err error) {
	if err := s.reset(); err != nil {
		return 0, -1, environmentError{err}
	}
	state := 0
	from, _ := r.g.State(0)
	if err := s.compare(&from, &from); err != nil {
		return 0, -1, err
	}
	if err := r.refuse(s, 0, &from); err != nil {
		return 0, -1, err
	}
	for i, k := range w {
		e := r.g.Out(state)[k]
		to, _ := r.g.State(int(e.To))
		s.step = i
		err := s.take(&s.table[e.Action], &from, &to)
		switch {
		case err != nil:
		case i < len(w)-1 && r.known(state, k):
			err = s.pass(&from, &to)
		default:
			err = s.compare(&from, &to)
		}
		if s.took != nil {
			s.took(&s.table[e.Action])
		}
		if err != nil {
			return i, int(k), err
		}
		state, from = int(e.To), to
		if err := r.refuse(s, state, &from); err != nil {
			return i + 1, -1, err
		}
	}
	return 0, 0, nil
}

// known says that the world was compared after the edge before. Which call fails is
// another one each time.
func (r *run) known(state int, k uint16) bool {
	if r.compared == nil {
		return false
	}
	e := r.g.Out(state)[k]
	return r.compared[r.first[state]+int(k)].Swap(true) && r.visited[e.To].Load() && r.g.Actions[e.Action].Slot != "CallFails"
}

// refuse tries the disabled actions of a state, the first time.
func (r *run) refuse(s *scheduler, state int, at *model.State) error {
	if r.visited[state].Swap(true) {
		return nil
	}
	out := r.g.Out(state)
	return s.refuse(at, func(action int) bool {
		for _, e := range out {
			if int(e.Action) == action {
				return true
			}
		}
		return false
	})
}

// finished marks what a walk has covered.
func (r *run) finished(w walk) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := 0
	for _, k := range w {
		r.covered[r.first[state]+int(k)] = true
		state = int(r.g.Out(state)[k].To)
	}
}

func (r *run) diverged(d *Divergence) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.divergence == nil {
		r.divergence = d
	}
}

func (r *run) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
}

// An environmentError says nothing about the code: a full disk, no descriptors.
type environmentError struct{ error }

func (e environmentError) Unwrap() error { return e.error }

func isEnvironment(err error) bool {
	return errors.As(err, new(environmentError))
}
