package trace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"

	"github.com/afterlock/afterlock/model"
)

// A Verdict is one of three words.
type Verdict string

const (
	Valid     Verdict = "valid"
	Invalid   Verdict = "invalid"
	Undecided Verdict = "undecided"
)

// Counts are what a validation did and met.
type Counts struct {
	Events     int64 // recorded
	Dropped    int64 // not recorded, because the mapping was full
	CutOff     int64 // calls that a kill has cut off
	Gone       int64 // processes that were reaped
	Instances  int64 // ids that were judged
	Adoptions  int64 // orphans that got a lock file
	Ghosts     int64 // rechecks that found another file, or none
	Busy       int64 // locks that were held
	Operations int64 // calls that the model has something to say about
	Configs    int64 // states that were looked at
	Most       int64 // states that one point of a trace allowed
	Invalid    int64 // ids that are no behaviour
	Undecided  int64 // ids
}

// A Report is what [Validate] found.
type Report struct {
	Verdict Verdict
	Counts
	Problems []string // why it is invalid: several lines each, the first few
	Because  []string // why it is undecided, the first few
}

// maxProblems bounds the texts that a report keeps.
const maxProblems = 5

// Validate decides whether a trace is a behaviour of the model: valid, also for
// the beginning of a run whose rest was dropped, invalid with the reasons, or
// undecided. The error is the context's.
//
// The cost is linear in the events as long as few processes are at work on one
// id: more than a million events a second on one processor.
func Validate(ctx context.Context, t *Trace) (Report, error) {
	return validate(ctx, t, func(v *validation) {
		next := make(chan *partition, 64)
		var group sync.WaitGroup
		for range runtime.GOMAXPROCS(0) {
			group.Go(func() { new(Validator).work(v, next) })
		}
		for _, p := range v.order {
			if ctx.Err() != nil {
				break
			}
			next <- p
		}
		close(next)
		group.Wait()
	})
}

// A Validator validates small traces one after the other with memory that it
// keeps. It is for one goroutine.
type Validator struct {
	// Step, if it is not nil, hears of every step of the model that is taken.
	Step func(m *model.Protocol, from *model.State, action uint16)
	// Budget bounds the states of one id, in all; 0: as many as a campaign needs.
	Budget int

	machines map[shape]*machine
	search   search
}

// Validate is the function of that name.
func (a *Validator) Validate(ctx context.Context, t *Trace) (Report, error) {
	return validate(ctx, t, func(v *validation) {
		next := make(chan *partition, len(v.order))
		for _, part := range v.order {
			next <- part
		}
		close(next)
		a.work(v, next)
	})
}

func validate(ctx context.Context, t *Trace, work func(*validation)) (Report, error) {
	x, err := extract(t)
	var wrong *malformed
	if errors.As(err, &wrong) {
		text := wrong.Error() + "\n  so this is no trace of processes that make one call at a time"
		return Report{Verdict: Invalid, Counts: Counts{Events: int64(len(t.Events))}, Problems: []string{text}}, nil
	}
	v := &validation{extraction: x, report: Report{Counts: x.counts}}
	v.competition()
	v.holes()
	if x.foreign != nil {
		v.found = append(v.found, finding{x.foreign.Ticket, Undecided,
			fmt.Sprintf("event %d: %v: the name has no id, and the model nothing to say about it", x.foreign.Ticket, x.foreign)})
	}
	work(v)
	v.conclude()
	return v.report, ctx.Err()
}

type validation struct {
	*extraction
	mu     sync.Mutex
	report Report
	found  []finding
}

// A finding is why one id is invalid or undecided.
type finding struct {
	ticket  uint64
	verdict Verdict
	text    string
}

// work judges partitions.
func (a *Validator) work(v *validation, next <-chan *partition) {
	if a.machines == nil {
		a.machines = make(map[shape]*machine)
	}
	y := &a.search
	y.listen, y.budget = a.Step, cmp.Or(a.Budget, defaultBudget)
	var sum Counts
	var found []finding
	for p := range next {
		f := judge(v.trace, p, a.machines, y)
		sum.Instances++
		sum.Operations += int64(len(p.ops))
		sum.Configs += int64(y.made)
		sum.Most = max(sum.Most, int64(y.most))
		if f != nil {
			found = append(found, *f)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report.Instances += sum.Instances
	v.report.Operations += sum.Operations
	v.report.Configs += sum.Configs
	v.report.Most = max(v.report.Most, sum.Most)
	v.found = append(v.found, found...)
}

// judge judges one id; nil says that it is a behaviour.
func judge(t *Trace, p *partition, machines map[shape]*machine, y *search) *finding {
	undecided := func(ticket uint64, because string) *finding {
		return &finding{ticket, Undecided, fmt.Sprintf("instance %v: %s", p.id, because)}
	}
	y.made, y.most = 0, 0
	shape, because := p.number(t.Files)
	if because != "" {
		return undecided(p.first, because)
	}
	m := machines[shape]
	if m == nil {
		var err error
		if m, err = newMachine(shape); err != nil {
			return undecided(p.first, err.Error())
		}
		machines[shape] = m
	}
	r := y.run(p, m, t.Dropped > 0)
	switch {
	case r == nil:
		return nil
	case r.because != "":
		return undecided(r.at.ticket, r.because)
	}
	return &finding{r.at.ticket, Invalid, r.text(t, p, m)}
}

// competition checks victims for all ids together: a path is staged once, and
// missing only if somebody has staged it by then, or may have.
func (v *validation) competition() {
	for hash, victim := range v.victims {
		switch {
		case victim.stagings > 1:
			v.found = append(v.found, finding{victim.first, Invalid, fmt.Sprintf("victim %x was staged %d times", hash, victim.stagings)})
		case victim.ticket != 0 && victim.first > victim.ticket:
			v.found = append(v.found, finding{victim.ticket, Invalid,
				fmt.Sprintf("event %d: StageDeletion said that victim %x is gone, and nobody had staged it", victim.ticket, hash)})
		}
	}
}

func (v *validation) conclude() {
	r := &v.report
	slices.SortFunc(v.found, func(a, b finding) int { return cmp.Or(cmp.Compare(a.ticket, b.ticket), cmp.Compare(a.text, b.text)) })
	for _, f := range v.found {
		count, texts := &r.Counts.Invalid, &r.Problems
		if f.verdict == Undecided {
			count, texts = &r.Counts.Undecided, &r.Because
		}
		*count++
		if len(*texts) < maxProblems {
			*texts = append(*texts, f.text)
		}
	}
	switch {
	case r.Counts.Invalid > 0:
		r.Verdict = Invalid
	case r.Counts.Undecided > 0:
		r.Verdict = Undecided
	case r.Events == 0:
		r.Verdict, r.Because = Undecided, []string{"the trace has no events"}
	default:
		r.Verdict = Valid
	}
}

// number gives entries, real files and slots the numbers of the model, and
// returns the shape of the model that has room for them, or why there is none.
func (p *partition) number(files int) (s shape, because string) {
	if p.because != "" {
		return s, p.because
	}
	for n := range int32(min(p.trees, maxItems+1)) {
		if p.orphan {
			p.entry(n).victim = true
		}
	}
	if len(p.entries) > maxItems {
		return s, fmt.Sprintf("%d trees, and the model has room for %d", len(p.entries), maxItems)
	}
	s = shape{creators: 1, files: files}
	numbers := slices.Sorted(maps.Keys(p.entries))
	for _, n := range numbers {
		if e := p.entries[n]; !e.victim {
			s.additions++
			e.item = uint8(s.additions)
		}
	}
	for _, n := range numbers { // the model has them after the additions
		if e := p.entries[n]; e.victim {
			s.victims++
			e.item = uint8(s.additions + s.victims)
		}
	}
	creators := 0
	for _, session := range p.sessions {
		if !session.recoverer {
			creators++
		}
	}
	if creators > 1 {
		s.creators = 2
	}
	inodes := make(map[uint64]uint8)
	for i := range p.ops {
		o := &p.ops[i]
		if e := p.entries[o.entry]; e != nil {
			o.item = e.item
		}
		if o.file == nil || o.file.inode == 0 {
			continue
		}
		if inodes[o.file.inode] == 0 {
			inodes[o.file.inode] = uint8(len(inodes) + 1)
		}
		if len(inodes) > 255 {
			return s, "more than 255 lock files"
		}
		o.file.index = inodes[o.file.inode]
	}
	return s, ""
}
