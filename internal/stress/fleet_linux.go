package stress

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

const (
	// endGrace is how long workers may take to end once they are told to.
	endGrace = 30 * time.Second

	// maxAim bounds the messages after which a worker is killed, and maxDelay
	// the time from that message to the kill: about what the removal of a layer
	// takes, so that kills land before, inside and after it.
	maxAim   = 12
	maxDelay = 15 * time.Millisecond

	// maxProblems bounds how many problems a report keeps.
	maxProblems = 20
)

// A fleet is a set of workers and the one goroutine that drives them.
type fleet struct {
	jobs     []job // one a place; a worker that is killed or fails is replaced by one with the same job
	rng      *rand.Rand
	duration time.Duration
	kill     bool          // at random moments
	enough   func() bool   // go on until this is true, for longest at most
	longest  time.Duration // 0: four times the duration and slowMachine
	reaped   func(j job)   // told of every worker that has ended, before another takes its place
	progress func(text string)

	// The results.
	counts      map[string]int64
	lost        int64
	partial     int64
	kills       int64
	killsInside int64
	problems    []string
	elapsed     time.Duration

	events    chan event
	shots     chan *process // whose moment has come
	done      chan struct{} // closed when nobody listens to shots any more
	running   map[*process]bool
	shared    map[int]bool // workers that are several processes of a trace
	started   int
	finishing bool
	environs  error
}

// slowMachine is what a run may take longer until there is enough of everything.
const slowMachine = time.Minute

// run starts the workers, lets them work for the duration, or until something is
// lost, and waits until all have ended. The error is the context's, or says
// that the environment failed; problems are in the results.
func (f *fleet) run(ctx context.Context) error {
	f.counts = make(map[string]int64)
	f.events = make(chan event)
	f.shots = make(chan *process)
	f.done = make(chan struct{})
	defer close(f.done)
	f.running = make(map[*process]bool)
	f.shared = make(map[int]bool)
	if f.longest == 0 {
		f.longest = 4*f.duration + slowMachine
	}
	begin := time.Now()
	deadline := time.NewTimer(f.duration)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var grace <-chan time.Time
	for _, j := range f.jobs {
		if !f.finishing {
			f.launch(j)
		}
	}
	interrupted := ctx.Done()
	for len(f.running) > 0 {
		select {
		case e := <-f.events:
			f.handle(e)
		case p := <-f.shots:
			// A worker that has ended meanwhile, or is to end in order, is not
			// shot at.
			if f.running[p] && !f.finishing && !p.ended {
				p.killed = true
				p.Shoot()
			}
		case <-tick.C:
			f.progress(fmt.Sprintf("%.0f s, %s", time.Since(begin).Seconds(), f.summary()))
		case <-deadline.C:
			if !f.enough() && time.Since(begin) < f.longest {
				deadline.Reset(f.duration / 10)
			} else {
				f.finish()
			}
		case <-grace:
			f.problem("%d workers did not end within %v", len(f.running), endGrace)
			f.killAll()
			grace = nil
		case <-interrupted:
			f.finishing = true
			f.killAll()
			interrupted = nil
		}
		if f.finishing && f.elapsed == 0 {
			f.elapsed = time.Since(begin)
			grace = time.After(endGrace)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.environs
}

func (f *fleet) summary() string {
	var parts []string
	for _, name := range []string{countInstances, countCommits, countChecked, countRecoveries, countRecovered} {
		if n := f.counts[name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, name))
		}
	}
	if f.kill {
		parts = append(parts, fmt.Sprintf("%d kills", f.kills))
	}
	return strings.Join(parts, ", ")
}

// launch starts one worker and aims at it.
func (f *fleet) launch(j job) {
	f.started++
	j.Worker, j.Seed = f.started, f.rng.Uint64()
	p, err := start(j, f.events)
	if err != nil {
		f.environment(err)
		return
	}
	f.running[p] = true
	if j.Tracers > 1 {
		f.shared[j.Worker] = true
	}
	if f.kill {
		p.aim = 1 + f.rng.IntN(maxAim)
	}
}

// handle deals with one event.
func (f *fleet) handle(e event) {
	p := e.process
	if e.message == nil {
		f.exited(p, e.err)
		return
	}
	m := e.message
	for name, n := range m.Add {
		f.counts[name] += n
	}
	switch m.Step {
	case stepEnd:
		p.ended = true
		for _, leaked := range m.Leaked {
			f.problem("%s leaked %s", p.name(), leaked)
			f.finish()
		}
	case stepLost:
		f.lost++
		f.problem("%s: lost: %s", p.name(), m.Text)
		f.finish()
	case stepPartial:
		f.partial++
		f.problem("%s: partial: %s", p.name(), m.Text)
		f.finish()
	case stepFailed:
		p.failed = true
		f.problem("%s: %s", p.name(), m.Text)
	case stepEnvironment:
		f.environment(fmt.Errorf("%s: %s", p.name(), m.Text))
	}
	if m.Step == stepCounts {
		return
	}
	p.last = m.Step
	if p.aim > 0 {
		if p.aim--; p.aim == 0 {
			f.shoot(p)
		}
	}
}

// shoot kills the worker after a random time: a random moment of what it does,
// not a wait for anything.
func (f *fleet) shoot(p *process) {
	delay := time.Duration(f.rng.Int64N(int64(maxDelay)))
	if f.rng.IntN(2) == 0 {
		delay /= 50 // next to the message: between two system calls of a step
	}
	time.AfterFunc(delay, func() {
		select {
		case f.shots <- p:
		case <-f.done:
		}
	})
}

// exited deals with the end of a worker.
func (f *fleet) exited(p *process, err error) {
	delete(f.running, p)
	p.Shut()
	if f.reaped != nil {
		f.reaped(p.job)
	}
	switch {
	case p.killed && p.Killed():
		f.kills++
		if p.last == stepRemove {
			f.killsInside++
		}
		f.replace(p)
	case p.failed && p.ended:
		// An error alone does not end the run: whether it goes with a loss is
		// what the others can still find out.
		f.replace(p)
	case p.ended && (err == nil || p.killed):
		// In order; or it met its kill on the last metre.
	case f.finishing && p.Killed():
		// By killAll.
	default:
		f.problem("%s ended by itself: %.2000v", p.name(), err)
		f.finish()
	}
}

// replace starts another worker for the same job, unless the run is ending.
func (f *fleet) replace(p *process) {
	if !f.finishing {
		f.launch(p.job)
	}
}

// problem notes what was found. Too many problems end the run.
func (f *fleet) problem(format string, args ...any) {
	if len(f.problems) < maxProblems {
		f.problems = append(f.problems, fmt.Sprintf(format, args...))
	} else {
		f.finish()
	}
}

func (f *fleet) environment(err error) {
	if f.environs == nil {
		f.environs = fmt.Errorf("%w: %w", ErrEnvironment, err)
	}
	f.finish()
}

// finish tells all workers to end.
func (f *fleet) finish() {
	if f.finishing {
		return
	}
	f.finishing = true
	for p := range f.running {
		p.Shut()
	}
}

func (f *fleet) killAll() {
	for p := range f.running {
		p.Shoot()
	}
}
