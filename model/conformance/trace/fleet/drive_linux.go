package fleet

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/afterlock/afterlock/internal/bench/proc"
)

const (
	// endGrace is how long workers may take to end once they are told to.
	endGrace = 30 * time.Second

	// maxAim bounds the messages after which a worker is killed, and maxDelay the
	// time from that message to the kill.
	maxAim   = 12
	maxDelay = 15 * time.Millisecond

	// maxProblems bounds how many problems a report keeps.
	maxProblems = 20
)

// A process is a worker, seen from its parent. The goroutine that drives the
// fleet owns it.
type process struct {
	job
	*proc.Process

	aim    int  // messages until it is killed
	killed bool // by the parent
	failed bool // it met an error and ends
	ended  bool // in order: its last message was the end
}

func (p *process) String() string { return fmt.Sprintf("worker %d", p.Worker) }

// An event is a message of a worker or, if message is nil, its exit, which
// comes after all its messages.
type event struct {
	process *process
	message *message
	err     error // of the exit
}

// follow sends the worker's events.
func (p *process) follow(events chan<- event) {
	for {
		m := &message{}
		err := p.Receive(m)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break // a line that a kill has cut off says nothing
		}
		if err != nil {
			events <- event{process: p, message: &message{Step: stepFailed, Text: err.Error()}}
			p.Shoot()
			break
		}
		events <- event{process: p, message: m}
	}
	events <- event{process: p, err: p.Wait()}
}

// A drive is a set of workers and the one goroutine that drives them.
type drive struct {
	jobs     []job // one a place; a worker that is killed or fails is replaced by one with the same job
	rng      *rand.Rand
	duration time.Duration
	longest  time.Duration
	enough   func() bool // go on until this is true, for longest at most
	reaped   func(j job) // called for every worker that has ended, before another takes its place
	progress func()

	report    *Report
	shared    map[int]bool // workers that are several processes of a trace
	events    chan event
	shots     chan *process // whose moment has come
	done      chan struct{} // closed when nobody listens to shots any more
	running   map[*process]bool
	started   int
	finishing bool
	environs  error
}

// run starts the workers, lets them work for the duration, or until something is
// lost, and waits until all have ended. The error is the context's, or says
// that the environment failed; what else there is, is in the report.
func (d *drive) run(ctx context.Context) error {
	d.events, d.shots, d.done = make(chan event), make(chan *process), make(chan struct{})
	defer close(d.done)
	d.running, d.shared = make(map[*process]bool), make(map[int]bool)
	begin := time.Now()
	deadline := time.NewTimer(d.duration)
	defer deadline.Stop()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	var grace <-chan time.Time
	for _, j := range d.jobs {
		if !d.finishing {
			d.launch(j)
		}
	}
	interrupted := ctx.Done()
	for len(d.running) > 0 {
		select {
		case e := <-d.events:
			d.handle(e)
		case p := <-d.shots:
			// A worker that has ended meanwhile, or is to end in order, is not
			// shot at.
			if d.running[p] && !d.finishing && !p.ended {
				p.killed = true
				p.Shoot()
			}
		case <-tick.C:
			d.progress()
		case <-deadline.C:
			if !d.enough() && time.Since(begin) < d.longest {
				deadline.Reset(max(d.duration/10, 10*time.Millisecond))
			} else {
				d.finish()
			}
		case <-grace:
			d.problem("%d workers did not end within %v", len(d.running), endGrace)
			d.killAll()
			grace = nil
		case <-interrupted:
			d.finishing = true
			d.killAll()
			interrupted = nil
		}
		if d.finishing && d.report.Recording == 0 {
			d.report.Recording = time.Since(begin)
			grace = time.After(endGrace)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return d.environs
}

// launch starts one worker and aims at it.
func (d *drive) launch(j job) {
	d.started++
	j.Worker, j.Seed = d.started, d.rng.Uint64()
	p := &process{job: j, Process: proc.New(workerRole), aim: 1 + d.rng.IntN(maxAim)}
	if err := p.Start(); err != nil {
		d.environment(err)
		return
	}
	go p.follow(d.events)
	_ = p.Send(j) // a worker that is gone already shows in its exit
	d.running[p] = true
	d.shared[j.Worker] = j.Tracers > 1
}

// handle deals with one event.
func (d *drive) handle(e event) {
	p, m := e.process, e.message
	if m == nil {
		d.exited(p, e.err)
		return
	}
	d.report.Looks += m.Looks
	d.report.Commits += m.Commits
	switch m.Step {
	case stepTurn:
		if p.aim--; p.aim == 0 {
			d.shoot(p)
		}
	case stepEnd:
		p.ended = true
		for _, leaked := range m.Leaked {
			d.problem("%v leaked %s", p, leaked)
			d.finish()
		}
	case stepLost, stepPartial:
		if m.Step == stepLost {
			d.report.Lost++
		} else {
			d.report.Partial++
		}
		p.failed = true
		d.problem("%v: %s: %s", p, m.Step, m.Text)
		d.finish()
	case stepFailed:
		// An error alone does not end the run: whether it goes with a loss is
		// what the others can still find out.
		p.failed = true
		d.problem("%v: %s", p, m.Text)
	case stepEnvironment:
		d.environment(fmt.Errorf("%v: %s", p, m.Text))
	}
}

// shoot kills the worker after a random time: a random moment of what it does,
// not a wait for anything.
func (d *drive) shoot(p *process) {
	delay := time.Duration(d.rng.Int64N(int64(maxDelay)))
	if d.rng.IntN(2) == 0 {
		delay /= 50 // next to the message: between two system calls of a turn
	}
	time.AfterFunc(delay, func() {
		select {
		case d.shots <- p:
		case <-d.done:
		}
	})
}

// exited deals with the end of a worker, and starts another in its place unless
// the run is ending.
func (d *drive) exited(p *process, err error) {
	delete(d.running, p)
	d.reaped(p.job)
	switch {
	case p.killed && p.Killed():
		d.report.Kills++
	case p.failed && p.ended:
	case p.ended && (err == nil || p.killed):
		return // in order; or it met its kill on the last metre
	case d.finishing && p.Killed():
		return // by killAll
	default:
		d.problem("%v ended by itself: %.2000v", p, err)
		d.finish()
	}
	if !d.finishing {
		d.launch(p.job)
	}
}

// problem notes what was found. Too many problems end the run.
func (d *drive) problem(format string, args ...any) {
	if len(d.report.Problems) < maxProblems {
		d.report.Problems = append(d.report.Problems, fmt.Sprintf(format, args...))
	} else {
		d.finish()
	}
}

func (d *drive) environment(err error) {
	if d.environs == nil {
		d.environs = fmt.Errorf("%w: %w", ErrEnvironment, err)
	}
	d.finish()
}

// finish tells all workers to end.
func (d *drive) finish() {
	if d.finishing {
		return
	}
	d.finishing = true
	for p := range d.running {
		p.Shut()
	}
}

func (d *drive) killAll() {
	for p := range d.running {
		p.Shoot()
	}
}
