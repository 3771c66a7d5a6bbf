package subjects

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// FixedOptions are for [Workshop.Fixed].
type FixedOptions struct {
	Runs    int       // of the steered schedule, at each of its moments; 50 by default
	Seconds float64   // that each fleet runs; 20 by default, instances a quarter of it
	Dir     string    // an existing directory, for the mount points of the stores
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

// A put fleet is processes of two kinds on one store.
type putFleet struct {
	released, compat int // processes
}

func (f putFleet) String() string {
	switch {
	case f.compat == 0:
		return fmt.Sprintf("%d released", f.released)
	case f.released == 0:
		return fmt.Sprintf("%d compat", f.compat)
	}
	return fmt.Sprintf("%d released, %d compat", f.released, f.compat)
}

var putFleets = []putFleet{{released: 8}, {compat: 8}, {released: 1, compat: 7}, {released: 4, compat: 4}}

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

// judgePuts adds a fleet's row for each kind, and what it means.
func judgePuts(r *Report, table *Table, fleet putFleet, released, compat puts) {
	for _, kind := range []struct {
		name      string
		processes int
		puts
	}{{"released", fleet.released, released}, {"compat", fleet.compat, compat}} {
		if kind.processes == 0 {
			continue
		}
		table.Row(fleet.String(), kind.name, kind.tried, kind.failed, kind.incomplete, kind.undeleted)
		least := leastPuts
		if fleet.released > 0 && fleet.compat > 0 {
			least = leastInFleet
		}
		if kind.other > 0 {
			r.Short = append(r.Short, fmt.Sprintf("%d puts of %s failed because the machine has too little of something", kind.other, kind.name))
		}
		if kind.lost() == 0 {
			r.AtLeast(kind.tried, least, fmt.Sprintf("puts of %s in a fleet of %s", kind.name, fleet))
			continue
		}
		who := kind.name
		if kind.name == "released" && fleet.released == 1 && fleet.compat > 0 {
			who = "released, which has nobody but compat beside it," // so compat has taken it
		}
		r.Problem("puts, fleet of %s: %s loses %s of %s puts: %s", fleet, who, Number(kind.lost()), Number(kind.tried), kind.example)
	}
}

// instances are those of one pair of kinds.
type instances struct {
	made, lost, incomplete, recoveries, kills, left int
	failed                                          int // recoveries
	example                                         string
}

// judgeInstances adds the row of a pair, and what it means.
func judgeInstances(r *Report, table *Table, creators, recoverers string, i instances) {
	pair := creators + " beside recovery of " + recoverers
	table.Row(creators, recoverers, i.made, i.lost, i.incomplete, i.recoveries, i.kills, i.left)
	if lost := i.lost + i.incomplete; lost > 0 {
		r.Problem("instances: %s loses %s of %s: %s", pair, Number(lost), Number(i.made), i.example)
	} else {
		r.AtLeast(i.made, leastInstances, "instances of "+pair)
	}
	r.AtLeast(i.recoveries, 1, "recoveries of "+recoverers+" beside instances of "+creators)
	r.AtLeast(i.kills, 1, "kills of "+pair)
	if i.left > 0 && (creators == "compat" || recoverers == "compat") {
		r.Problem("instances: %s leaves %d data directories after the last recovery", pair, i.left)
	}
	if i.failed > 0 {
		r.Note("instances: %d of %s recoveries of %s failed beside instances of %s", i.failed, Number(i.recoveries), recoverers, creators)
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
