package crashsim

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/afterlock/afterlock/crashsim/disk"
)

// maxCrashes bounds how many crashes a string may have.
const maxCrashes = 8

// A recipe is what a string of Replay says.
type recipe struct {
	scenario Scenario
	model    disk.Durability
	schedule []byte
	crashes  []cut
}

// A cut is one crash: after how many entries of the journal (-1: all) and which
// of them are lost.
type cut struct {
	at   int
	lost []int
}

// parseRecipe reads what spec writes.
func parseRecipe(text string) (r recipe, err error) {
	rest, ok := strings.CutPrefix(text, prefix)
	fields := strings.Split(rest, "/")
	if !ok || len(fields) < 3 || len(fields) > 3+maxCrashes {
		return r, fmt.Errorf("replay %q: expected %sSCENARIO/MODEL/SCHEDULE and then up to %d times /LOST", text, prefix, maxCrashes)
	}
	if r.scenario, err = ParseScenario(fields[0]); err != nil {
		return r, err
	}
	if _, known := faults[r.scenario.fault]; r.scenario.fault != "" && !known {
		return r, fmt.Errorf("replay %q: no fault %q; faults are planted by tests", text, r.scenario.fault)
	}
	if r.model, err = disk.ParseDurability(fields[1]); err != nil {
		return r, err
	}
	if r.schedule, err = unsqueeze(fields[2]); err != nil {
		return r, err
	}
	for i, field := range fields[3:] {
		c := cut{at: -1}
		if i > 0 {
			at, lost, ok := strings.Cut(field, "~")
			n, err := strconv.Atoi(at)
			if !ok || err != nil || n < 0 {
				return r, fmt.Errorf("replay %q: crash %q: expected N~LOST", text, field)
			}
			c.at, field = n, lost
		}
		if field != "-" {
			for word := range strings.SplitSeq(field, ".") {
				n, err := strconv.Atoi(word)
				if err != nil || n < 0 {
					return r, fmt.Errorf("replay %q: lost %q: expected - or numbers joined by dots", text, field)
				}
				c.lost = append(c.lost, n)
			}
		}
		r.crashes = append(r.crashes, c)
	}
	return r, nil
}

// Replay runs again what a string describes that a finding of [Run] or [Soft]
// printed, from "crash:" or "soft:" on. It writes every call, what was lost, and
// every finding, and returns how many there were. The error says that the string
// cannot be read, or that it describes what cannot happen.
func Replay(ctx context.Context, text string, w io.Writer) (findings int, err error) {
	out := &errWriter{w: w}
	if rest, ok := strings.CutPrefix(text, softPrefix); ok {
		return replaySoft(rest, out)
	}
	r, err := parseRecipe(text)
	if err != nil {
		return 0, err
	}
	found := func(f Finding) {
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
			return 0, fmt.Errorf("replay %q: at step %d %q cannot go on", text, i, choice)
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
		return 0, fmt.Errorf("replay %q: %w", text, err)
	}
	out.printf("%d findings\n", findings)
	return findings, out.err
}

// crash is the part of a replay that comes after the schedule.
func (r *recipe) crash(e *explorer, out *errWriter, found func(Finding)) error {
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
		at := cut.at
		if at < 0 {
			at = len(journal)
		}
		if at > len(journal) {
			return fmt.Errorf("crash %d: the journal has %d entries, not %d", n+1, len(journal), at)
		}
		var log disk.Log
		log.Reset(r.model)
		out.printf("power is lost after %d changes\n", at)
		set, err := survivors(&log, journal[:at], cut.lost)
		if err != nil {
			return fmt.Errorf("crash %d: %w", n+1, err)
		}
		for _, place := range cut.lost {
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
		for _, f := range Check(DiskView(l.disk), c.want) {
			found(f)
		}
		l.disk.Freeze(&l.tree)
		l.disk.Record()
		end := -1 // of the journal, where the next crash comes
		if n+1 < len(r.crashes) {
			end = r.crashes[n+1].at
		}
		a := l.actors[0]
		a.listen = func(call string, err error) {
			if end < 0 || len(l.disk.Journal()) <= end {
				out.printf("      %c  %s%s\n", a.name, call, outcome(err))
			}
		}
		if err := a.run(); err != nil {
			found(Finding{CallsSucceed, "recovery", l.actors[0].says(err)})
		}
		if end < 0 {
			after := c.want
			after.NoOrphans, after.Recovered = true, true
			for _, f := range Check(DiskView(l.disk), after) {
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
