package crashsim

import (
	"context"
	"fmt"
	"io"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/internal/bench/world"
)

// maxCrashes bounds how many crashes a schedule may have.
const maxCrashes = 8

// A recipe is a schedule of this package.
type recipe struct {
	scenario Scenario
	model    disk.Durability
	schedule []byte
	crashes  []schedule.Loss
}

func parseRecipe(s *schedule.Schedule) (r recipe, err error) {
	if s.Kind != kind || s.World == "" || len(s.Losses) > maxCrashes {
		return r, s.Refuse("expected %s:SCENARIO@MODEL/STEPS and then up to %d times /LOST", kind, maxCrashes)
	}
	if r.scenario, err = ParseScenario(s.Program); err != nil {
		return r, err
	}
	if r.model, err = disk.ParseDurability(s.World); err != nil {
		return r, err
	}
	r.crashes = s.Losses
	r.schedule, err = s.Letters(schedule.Stopped)
	return r, err
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
	r, err := parseRecipe(s)
	if err != nil {
		return 0, err
	}
	out := &errWriter{w: w}
	found := func(f world.Finding) {
		findings++
		out.printf("  FINDING %v\n", f)
	}
	out.printf("%v, durability %v\n", r.scenario, r.model)
	e, err := newExplorer(&r.scenario, r.model)
	if err != nil {
		return 0, err
	}
	defer func() {
		for _, a := range e.actors {
			a.end()
		}
	}()
	step := 0
	for _, a := range e.actors {
		a.listen = func(call string, err error) {
			out.printf("%4d  %c  %s%s\n", step, a.name, call, outcome(err))
		}
	}
	e.found = found
	e.changed = func(uint64) error { return nil }
	if err := e.restart(nil); err != nil {
		return 0, err
	}
	for i, choice := range r.schedule {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if !e.may(choice) {
			return 0, s.Refuse("at call %d %q cannot go on", i, choice)
		}
		if step = i + 1; choice >= firstKill {
			out.printf("%4d  %c  is killed before %s\n", step, choice-firstKill+firstActor, e.actors[choice-firstKill].pending)
		}
		e.do(choice)
		if err := e.handle(true); err != nil {
			return 0, err
		}
	}
	if len(r.crashes) == 0 && e.over() {
		e.end()
	}
	if err := r.crash(e, out, found); err != nil {
		return 0, s.Refuse("%v", err)
	}
	out.printf("%d findings\n", findings)
	return findings, out.err
}

// crash is the part of a replay that comes after the schedule.
func (r *recipe) crash(e *explorer, out *errWriter, found func(world.Finding)) error {
	if len(r.crashes) == 0 {
		return nil
	}
	c, err := newCrasher(&r.scenario, r.model, len(r.crashes)-1, Shard{})
	if err != nil {
		return err
	}
	base, on := &e.base, e.disk
	for n, cut := range r.crashes {
		journal := on.Journal()
		at := cut.At
		if at < 0 {
			at = len(journal)
		}
		if at > len(journal) {
			return fmt.Errorf("crash %d: the journal has %d entries, not %d", n+1, len(journal), at)
		}
		var log disk.Log
		log.Reset(r.model)
		out.printf("power is lost after %d changes\n", at)
		set, err := survivors(&log, journal[:at], cut.Lost)
		if err != nil {
			return fmt.Errorf("crash %d: %w", n+1, err)
		}
		for _, place := range cut.Lost {
			out.printf("  lost: %d, %s\n", place, words(&journal[place]))
		}
		l := c.levels[n]
		if err := l.reset(base); err != nil {
			return err
		}
		for i := range log.Len() {
			if set>>i&1 != 0 {
				l.disk.Redo(log.Change(i))
			}
		}
		l.disk.Walk(func(f disk.Found) { out.printf("  on disk: %s\n", f.Path) })
		for _, f := range world.Check(look(l.disk), &c.want) {
			found(f)
		}
		l.disk.Freeze(&l.tree)
		l.disk.Record()
		end := -1 // of the journal, where the next crash comes
		if n+1 < len(r.crashes) {
			end = r.crashes[n+1].At
		}
		a := l.actors[0]
		a.listen = func(call string, err error) {
			if end < 0 || len(l.disk.Journal()) <= end {
				out.printf("      %c  %s%s\n", a.name, call, outcome(err))
			}
		}
		if err := a.run(); err != nil {
			found(world.Finding{Claim: world.CallsSucceed, Path: "recovery", Detail: l.actors[0].says(err)})
		}
		if end < 0 {
			after := c.want
			after.NoOrphans, after.Recovered = true, true
			for _, f := range world.Check(look(l.disk), &after) {
				found(f)
			}
		}
		base, on = &l.tree, l.disk
	}
	return nil
}

// survivors fills the log and returns the set of what is not lost.
func survivors(log *disk.Log, journal []disk.Change, lost []int) (set uint64, err error) {
	for i := range journal {
		if !log.Append(&journal[i]) {
			return 0, fmt.Errorf("more than %d changes", disk.MaxPending)
		}
	}
	gone := make(map[int]bool)
	for _, place := range lost {
		if place >= len(journal) || journal[place].Kind == disk.Sync {
			return 0, fmt.Errorf("there is no change %d to be lost", place)
		}
		gone[place] = true
	}
	for i := range log.Len() {
		if !gone[log.Place(i)] {
			set |= 1 << i
		}
	}
	if !log.May(set) {
		return 0, fmt.Errorf("these changes cannot be lost without others")
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

// An errWriter remembers its first error.
type errWriter struct {
	w   io.Writer
	err error
}

func (w *errWriter) printf(format string, arguments ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.w, format, arguments...)
	}
}
