package crashsim

import (
	"fmt"
	"time"

	"github.com/afterlock/afterlock/internal/bench/world"
)

// A Shard is one of N parts of an enumeration: part I, from 1. The zero value is
// all of it.
type Shard struct{ I, N int }

// Options are what to enumerate. The zero value is everything that the gate
// wants.
type Options struct {
	Scenarios []Scenario // default: [Scenarios]
	Nested    int        // crashes inside recovery, one in another; default 1, with Deep 2; negative: none
	Deep      bool       // larger scenarios
	Shard     Shard
	First     bool // of each scenario and model, stop soon after the first finding

	// Progress shows one line of what is being done; may be nil.
	Progress func(text string)
}

// Counts are what was done; see the package comment for the words.
type Counts struct {
	Interleavings int64 // states of the search: where each process is, and the disk
	Steps         int64 // calls made while searching, again ones included
	CrashPoints   int64
	States        int64
	Trees         int64
	Recoveries    int64
	Nested        int64 // of the crash points, those inside recovery
}

func (c *Counts) add(d Counts) {
	c.Interleavings += d.Interleavings
	c.Steps += d.Steps
	c.CrashPoints += d.CrashPoints
	c.States += d.States
	c.Trees += d.Trees
	c.Recoveries += d.Recoveries
	c.Nested += d.Nested
}

// A Found is a finding, with the command that shows it again.
type Found struct {
	world.Finding
	Scenario   Scenario
	Durability string
	Repeat     string // afterlock replay ...
	Trees      int64  // how many trees have such a finding, this one included
}

// String is the finding and the command on two lines.
func (f Found) String() string {
	return fmt.Sprintf("%v (%s, %v; %d trees)\n  %s", f.Finding, f.Durability, f.Scenario, f.Trees, f.Repeat)
}

// A Report says what an enumeration did and found.
type Report struct {
	Counts   Counts
	PerModel map[string]Counts // by durability model
	Findings []Found           // the first one of each claim, scenario and model, in that order
	Elapsed  time.Duration     // from start to end
	Work     time.Duration     // processor time that this process used meanwhile
}

// StatesPerSecond is the number of states that the process goes through in a
// second of processor time, with everything that is done about them: search,
// hashing, checks and recoveries.
func (r *Report) StatesPerSecond() float64 {
	if r.Work == 0 {
		return 0
	}
	return float64(r.Counts.States) / r.Work.Seconds()
}

// Problems are the findings as text, one each.
func (r *Report) Problems() (lines []string) {
	for _, f := range r.Findings {
		lines = append(lines, f.String())
	}
	return lines
}

// kind is that of the schedules that [Replay] reads.
const kind = "crash"
