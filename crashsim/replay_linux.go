package crashsim

import (
	"context"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/internal/bench/world"
	"github.com/afterlock/afterlock/internal/kernel"
)

// maxCrashes bounds how many crashes a schedule may have.
const maxCrashes = 8

// Failures are the errnos with which a schedule can make a call fail. They are
// none that say something about what the call is of.
var Failures = []string{"EIO", "ENOSPC", "EMFILE"}

var failures = map[string]unix.Errno{"EIO": unix.EIO, "ENOSPC": unix.ENOSPC, "EMFILE": unix.EMFILE}

// A Player plays schedules of one scenario under one durability model, one after
// the other, on disks that it keeps. It is for one goroutine.
type Player struct {
	e        *explorer
	c        *crasher
	out      *errWriter
	findings []world.Finding
	done     []schedule.Step // of a loose schedule
}

// A Watcher hears of the calls that the library makes in one process, with the
// names that are on the disk, and that the process was killed.
type Watcher interface {
	kernel.Hook
	Killed()
}

// NewPlayer makes a player. Each process of the scenario has a watcher, if watch
// is not nil.
func NewPlayer(s Scenario, model disk.Durability, watch func(process int) Watcher) (*Player, error) {
	p := &Player{out: &errWriter{}}
	var err error
	if p.e, err = newExplorer(&s, model); err != nil {
		return nil, err
	}
	if p.c, err = newCrasher(p.e.scenario, model, maxCrashes-1, Shard{}); err != nil {
		return nil, err
	}
	p.e.found = func(f world.Finding) {
		p.findings = append(p.findings, f)
		p.out.printf("  FINDING %v\n", f)
	}
	p.e.changed = func(uint64) error { return nil }
	for i, a := range p.e.actors {
		if watch != nil {
			a.watch = watch(i)
		}
	}
	return p, nil
}

// Close ends the processes.
func (p *Player) Close() {
	for _, a := range p.e.actors {
		a.end()
	}
}

// Replay runs a schedule again that a finding of [Run] printed. It writes every
// call, what was lost, and every finding, and returns how many there were. The
// error says that the schedule cannot be read, or that it describes what cannot
// happen.
func Replay(ctx context.Context, text string, w io.Writer) (findings int, err error) {
	s, err := schedule.Parse(text)
	if err != nil {
		return 0, err
	}
	p, err := PlayerOf(s, nil)
	if err != nil {
		return 0, err
	}
	defer p.Close()
	return p.Replay(ctx, s, w)
}

// PlayerOf is the player that a schedule is for.
func PlayerOf(s *schedule.Schedule, watch func(process int) Watcher) (*Player, error) {
	if s.Kind != kind || s.World == "" || len(s.Losses) > maxCrashes {
		return nil, s.Refuse("expected %s:SCENARIO@MODEL/STEPS and then up to %d times /LOST", kind, maxCrashes)
	}
	scenario, err := ParseScenario(s.Program)
	if err != nil {
		return nil, err
	}
	model, err := disk.ParseDurability(s.World)
	if err != nil {
		return nil, err
	}
	return NewPlayer(scenario, model, watch)
}

// Replay plays a schedule as the function Replay does. The last line is for the
// caller to write.
func (p *Player) Replay(ctx context.Context, s *schedule.Schedule, w io.Writer) (findings int, err error) {
	p.out = &errWriter{w: w}
	p.out.printf("%v, durability %v\n", p.e.scenario, p.e.model)
	for _, a := range p.e.actors {
		a.listen = func(call string, err error) {
			p.out.printf("%4d  %c  %s%s\n", p.e.steps, a.name, call, outcome(err))
		}
	}
	found, err := p.Play(ctx, s, false)
	if err != nil {
		return 0, err
	}
	p.out.printf("%d findings\n", len(found))
	return len(found), p.out.err
}

// Play plays a schedule of the player's scenario and model, and returns what is
// wrong, which is good until the next call. The error says that the schedule
// describes what cannot happen; what a loose one cannot do is left out of it, so
// that it says afterwards what was done.
func (p *Player) Play(ctx context.Context, s *schedule.Schedule, loose bool) ([]world.Finding, error) {
	p.findings = p.findings[:0]
	if err := p.e.restart(nil); err != nil {
		return nil, err
	}
	p.e.steps = 0
	p.done = p.done[:0]
	for i, step := range s.Steps {
		errno, fails := failures[step.How]
		if step.Process == 0 || step.Changes || step.End == schedule.ToEnd || step.How != "" && !fails {
			return nil, s.Refuse("step %d, %v, is none of %s:%s", i+1, step, s.Kind, s.Program)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		done, err := p.step(step, errno)
		if err != nil {
			return nil, err
		}
		switch stopped := done.End == step.End; {
		case (done.Count < step.Count || !stopped) && !loose:
			return nil, s.Refuse("at call %d %q cannot go on", p.e.steps, step.Process)
		case done.Count > 0 || done.End != 0:
			p.done = append(p.done, done)
		}
	}
	if p.e.over() {
		p.e.end()
	}
	if loose {
		s.Steps = slices.Clone(p.done)
	}
	err := p.crash(s.Losses, loose)
	if err != nil {
		err = s.Refuse("%v", err)
	}
	return p.findings, err
}

// step takes a step, as far as that is possible, and returns how far it was.
func (p *Player) step(step schedule.Step, errno unix.Errno) (done schedule.Step, err error) {
	e := p.e
	done.Process = step.Process
	for ; done.Count < step.Count && e.may(step.Process); done.Count++ {
		e.do(step.Process)
		if err := e.handle(true); err != nil {
			return done, err
		}
	}
	if done.Count < step.Count || step.End == 0 {
		return done, nil
	}
	choice := step.Process
	if errno == 0 {
		choice |= firstKill ^ firstActor
	}
	if !e.may(choice) {
		return done, nil
	}
	a := e.actors[step.Process-firstActor]
	switch {
	case errno == 0:
		p.out.printf("%4d  %c  is killed before %s\n", e.steps+1, a.name, a.pending)
	case a.call == nil || a.call.Method == kernel.Close:
		return done, nil // it is the store's own; or it closes also if it fails
	default:
		a.fails, a.failed = errno, true
	}
	done.End, done.How = step.End, step.How
	e.do(choice)
	return done, e.handle(true)
}

// crash is the part of a schedule that comes after the steps.
func (p *Player) crash(losses []schedule.Loss, loose bool) error {
	out := p.out
	base, on := &p.e.base, p.e.disk
	for n := range losses {
		cut := &losses[n]
		journal := on.Journal()
		at := cut.At
		if at < 0 {
			at = len(journal)
		}
		if at > len(journal) {
			if !loose {
				return fmt.Errorf("crash %d: the journal has %d entries, not %d", n+1, len(journal), at)
			}
			at = len(journal)
			cut.At = at
		}
		l := p.c.levels[n]
		l.log.Reset(p.e.model)
		out.printf("power is lost after %d changes\n", at)
		set, err := survivors(&l.log, journal[:at], cut, loose)
		if err != nil {
			return fmt.Errorf("crash %d: %w", n+1, err)
		}
		for _, place := range cut.Lost {
			out.printf("  lost: %d, %s\n", place, words(&journal[place]))
		}
		if err := l.lose(base, &l.log, set); err != nil {
			return err
		}
		if out.w != nil {
			l.disk.Walk(func(f disk.Found) { out.printf("  on disk: %s\n", f.Path) })
		}
		end := -1 // of the journal, where the next crash comes
		if n+1 < len(losses) {
			end = losses[n+1].At
		}
		a := l.actors[0]
		if out.w != nil {
			a.listen = func(call string, err error) {
				if end < 0 || len(l.disk.Journal()) <= end {
					out.printf("      %c  %s%s\n", a.name, call, outcome(err))
				}
			}
		}
		l.recover(p.c.want, end < 0, p.e.found)
		base, on = &l.tree, l.disk
	}
	return nil
}

// survivors fills the log and returns the set of what is not lost. What cannot be
// lost is an error, or left out of a loose schedule.
func survivors(log *disk.Log, journal []disk.Change, cut *schedule.Loss, loose bool) (set uint64, err error) {
	for i := range journal {
		if !log.Append(&journal[i]) {
			return 0, fmt.Errorf("more than %d changes", disk.MaxPending)
		}
	}
	lost := slices.Clone(cut.Lost)
	for i := log.Len() - 1; i >= 0; i-- { // of a rename that has halves, the second is lost first
		if k := slices.Index(lost, log.Place(i)); k >= 0 {
			lost = slices.Delete(lost, k, k+1)
		} else {
			set |= 1 << i
		}
	}
	if !loose {
		if len(lost) > 0 {
			return 0, fmt.Errorf("there is no change %d to be lost", lost[0])
		}
		if !log.May(set) {
			return 0, fmt.Errorf("these changes cannot be lost without others")
		}
		return set, nil
	}
	set |= log.Durable()
	cut.Lost = cut.Lost[:0]
	for i := range log.Len() {
		if log.Needs(i)&^set != 0 {
			set &^= 1 << i
		}
		if set>>i&1 == 0 {
			cut.Lost = append(cut.Lost, log.Place(i))
		}
	}
	return set, nil
}

// words is a change in words.
func words(c *disk.Change) string {
	switch {
	case c.From.Dir < 0:
		return fmt.Sprintf("%v %s", c.Kind, c.To.Name)
	case c.To.Dir < 0:
		return fmt.Sprintf("%v %s", c.Kind, c.From.Name)
	}
	return fmt.Sprintf("%v %s to %s", c.Kind, c.From.Name, c.To.Name)
}

func outcome(err error) string {
	if err != nil {
		return ": " + err.Error()
	}
	return ""
}

// An errWriter remembers its first error. Without a writer it writes nothing.
type errWriter struct {
	w   io.Writer
	err error
}

func (w *errWriter) printf(format string, arguments ...any) {
	if w.w != nil && w.err == nil {
		_, w.err = fmt.Fprintf(w.w, format, arguments...)
	}
}
