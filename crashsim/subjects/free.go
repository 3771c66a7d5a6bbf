package subjects

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Run is what a check of the [Workshop] is told.
type Run struct {
	Words   []string  // what of the check to do; all by default
	Runs    int       // of what is repeated; by default, what the check has
	Seconds float64   // that processes run free; the same
	Seed    uint64    // of what is drawn
	Dir     string    // an existing directory, for the mount points of stores, where overlay can be mounted
	Log     io.Writer // progress
}

// What has to be done for "nobody lost anything". The released store loses one of
// 300 puts, and one of 300 instances: so many that lose none are, at that rate, seen
// once in a thousand times.
const (
	leastPuts      = 2000
	leastInstances = 2000
	leastInFleet   = 50 // of one kind in a mixed fleet: its processes did take part
	mostRounds     = 3  // for a fleet that is too slow to reach its count in one
)

// again reports whether a fleet that has done so much, and lost so much, goes on:
// a problem that there is already cannot be undone by more.
func again(r *Report, round, lost, done, least int) bool {
	return round == 0 || round < mostRounds && len(r.Problems) == 0 && lost == 0 && done < least
}

// Schedule plays the models' counterexamples on the variants, each a name or
// "variant/moment", and reports who loses data. Its error matches [ErrUnavailable]
// if that cannot be done here; see [Workshop.Steered].
func (w *Workshop) Schedule(ctx context.Context, r *Report, variants []string, runs int, log io.Writer) error {
	return w.schedule(ctx, r, variants, runs, log, func(variant string, moments []SteeredMoment) { judgeSteered(r, variant, moments) })
}

func (w *Workshop) schedule(ctx context.Context, r *Report, variants []string, runs int, log io.Writer, judge func(variant string, moments []SteeredMoment)) error {
	table := r.Table("Schedule: the models' counterexamples, steered call by call on commands of the store; runs in which data was lost",
		"variant", "moment", "runs", "recovery met it", "played to the end", "failed puts", "incomplete layers")
	for _, variant := range variants {
		fmt.Fprintf(log, "schedule: %s, %d runs at each moment\n", variant, runs)
		steered, err := w.Steered(ctx, variant, runs)
		if err != nil {
			return err
		}
		for i := range steered.Moments {
			m := &steered.Moments[i]
			m.Example = strings.ReplaceAll(m.Example, w.dir+"/", "")
			table.Row(variant, m.Name, m.Runs, m.Met, m.Played, m.Failed, m.Incomplete)
		}
		judge(variant, steered.Moments)
		r.Note("%s plays the counterexample of %s", variant, steered.Model)
	}
	return nil
}

// judgeSteered says what the moments of a variant mean.
func judgeSteered(r *Report, variant string, moments []SteeredMoment) {
	r.AtLeast(len(moments), 1, "moments of the schedule on "+variant)
	variant, _, _ = strings.Cut(variant, "/")
	for _, m := range moments {
		r.AtLeast(m.Runs, 1, "runs of the schedule on "+variant+", "+m.Name)
		if m.Lost() > 0 {
			r.Problem("%s: the schedule loses data in %d of %d runs, %s: %s; repeat: %s", variant, m.Lost(), m.Runs, m.Name, m.Example, m.Repeat)
		} else { // and not because nobody looked
			r.AtLeast(m.Met, m.Runs, fmt.Sprintf("recoveries that met the instance of %s, %s", variant, m.Name))
		}
		if m.Lost() < m.Played { // every call was made, the removal of live data among them
			r.Short = append(r.Short, fmt.Sprintf("%d losses seen in %d runs of the schedule to its end on %s, %s: the check is blind", m.Lost(), m.Played, variant, m.Name))
		}
	}
}

// A put fleet is processes of one variant, or of two, on one store.
type putFleet []kindOf

type kindOf struct {
	variant   string
	processes int
}

func (f putFleet) String() string {
	var words []string
	for _, kind := range f {
		words = append(words, fmt.Sprintf("%d %s", kind.processes, kind.variant))
	}
	return strings.Join(words, ", ")
}

// puts are those of the processes of one kind.
type puts struct {
	tried, failed, incomplete, undeleted int
	other                                int    // of these: because of the machine
	example                              string // of a loss
}

func (p puts) lost() int { return max(0, p.failed+p.incomplete+p.undeleted-p.other) }

func (p *puts) add(q puts) {
	p.tried, p.failed, p.incomplete = p.tried+q.tried, p.failed+q.failed, p.incomplete+q.incomplete
	p.undeleted, p.other = p.undeleted+q.undeleted, p.other+q.other
	if p.example == "" {
		p.example = q.example
	}
}

// resources are errors of a machine that has too little of something. Whatever else
// makes a put fail is a loss: nobody but the processes of the store is there.
var resources = []string{"no space left on device", "cannot allocate memory", "too many open files", "disk quota exceeded", "resource temporarily unavailable"}

// errorLines sorts what a process has printed: losses, and errors of the machine.
func errorLines(text string) (example string, other int) {
	for line := range strings.Lines(text) {
		if slices.ContainsFunc(resources, func(r string) bool { return strings.Contains(line, r) }) {
			other++
		} else if example == "" {
			example = strings.TrimSpace(line)
		}
	}
	return example, other
}

// lacks reports whether the error is because of the machine.
func lacks(err error) bool {
	if err == nil {
		return false
	}
	_, other := errorLines(err.Error())
	return other > 0
}

// judgePuts adds a fleet's row for each variant and, if it has to lose nothing, what
// it means.
func judgePuts(r *Report, table *Table, fleet putFleet, did []puts, safe bool) {
	for i, kind := range fleet {
		p := did[i]
		table.Row(fleet.String(), kind.variant, p.tried, p.failed, p.incomplete, p.undeleted)
		if !safe {
			continue
		}
		least := leastPuts
		if len(fleet) > 1 {
			least = leastInFleet
		}
		r.Lacks(p.other, "puts of "+kind.variant)
		if p.lost() == 0 {
			r.AtLeast(p.tried, least, fmt.Sprintf("puts of %s in a fleet of %s", kind.variant, fleet))
			continue
		}
		blame := kind.variant
		if kind.processes == 1 && len(fleet) > 1 {
			blame = fleet[1].variant // a process of the release that is alone has nobody else beside it
		}
		r.Problem("%s: %s of %s puts of %s are lost in a fleet of %s: %s", blame, Number(p.lost()), Number(p.tried), kind.variant, fleet, p.example)
	}
}

// instances are those of one pair of kinds.
type instances struct {
	made, lost, incomplete, recoveries, kills, left int
	failed                                          int // recoveries
	other                                           int // of the lost: because of the machine
	example                                         string
}

// losses are those that are not because of the machine.
func (i instances) losses() int { return max(0, i.lost+i.incomplete-i.other) }

// judgeInstances adds the row of a pair and, if it has to lose nothing, what it means.
func judgeInstances(r *Report, table *Table, creators, recoverers string, i instances, safe bool) {
	pair := "of " + creators + " beside recovery of " + recoverers
	table.Row(creators, recoverers, i.made, i.lost, i.incomplete, i.recoveries, i.kills, i.left)
	if !safe {
		return
	}
	blame := "compat"
	if creators == recoverers {
		blame = creators
	}
	r.Lacks(i.other, "instances "+pair)
	if lost := i.losses(); lost > 0 {
		r.Problem("%s: %s of %s instances %s are lost: %s", blame, Number(lost), Number(i.made), pair, i.example)
	} else {
		r.AtLeast(i.made, leastInstances, "instances "+pair)
	}
	r.AtLeast(i.recoveries, 1, "recoveries beside instances "+pair)
	r.AtLeast(i.kills, 1, "kills of instances "+pair)
	if i.left > 0 && blame != "released" {
		r.Problem("%s: %d data directories are left after the last recovery of instances %s", blame, i.left, pair)
	}
	if i.failed > 0 {
		r.Note("%d of %s recoveries beside instances %s failed", i.failed, Number(i.recoveries), pair)
	}
}

// Number is a number with commas.
func Number(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
