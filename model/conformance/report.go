package conformance

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Options say what to execute.
type Options struct {
	Model    string            // its name in the manifest
	Dir      string            // existing directory; scratch directories are made in it and removed
	Workers  int               // each with a world of its own; 0: one a processor
	Every    bool              // compare after every step, also one that was compared before
	Progress func(text string) `json:"-"`
}

// Counts are what a run did.
type Counts struct {
	Walks     int64
	Steps     int64 // taken, edges walked more than once included
	Compared  int64 // worlds compared with a state
	Crashes   int64 // steps that killed
	Refused   int64 // disabled actions whose call was made and refused
	Elsewhere int64 // disabled actions before which the code does not stand
}

func (c *Counts) add(d Counts) {
	c.Walks += d.Walks
	c.Steps += d.Steps
	c.Compared += d.Compared
	c.Crashes += d.Crashes
	c.Refused += d.Refused
	c.Elsewhere += d.Elsewhere
}

// A Report is what a run found.
type Report struct {
	Model    string
	Edges    int64 // of the state graph
	EdgesRun int64 // executed
	Counts
	Injected int64 // different pairs of a call and an errno that it was made to fail with
	Elapsed  time.Duration
	Skipped  string // why nothing was run

	Divergence *Divergence // the first one found, or nil
}

// Add adds the numbers of another run. Injected is then the larger of the two.
func (r *Report) Add(other Report) {
	r.Edges += other.Edges
	r.EdgesRun += other.EdgesRun
	r.Counts.add(other.Counts)
	r.Injected = max(r.Injected, other.Injected)
	r.Elapsed += other.Elapsed
}

// A Divergence is where the code does not do what the specification says.
type Divergence struct {
	Model    string
	Step     int    // from 1; 0: the initial state
	Action   string // of the step, or "" if the state after it is what differs
	Reason   string
	Schedule string // for Replay
}

func (d *Divergence) String() string {
	action := d.Action
	if action == "" {
		action = "the actions that are disabled"
	}
	return fmt.Sprintf("%s, step %d, %s: %s", d.Model, d.Step, action, d.Reason)
}

// CounterexampleOptions say what to replay.
type CounterexampleOptions struct {
	Model string    // its name in the manifest; one that must fail
	Dir   string    // existing directory; scratch directories are made in it and removed
	Runs  int       // how often
	Out   io.Writer // for the tables of the first run; or nil
}

// A CounterexampleReport says what a counterexample did on a real file system.
type CounterexampleReport struct {
	Model      string
	Property   string
	Steps      int    // of a run
	Runs       int    // wanted
	Mutant     bool   // the fault is a mutant of the library, and was not replayed
	Damaged    int    // in which the world went where the property is false
	Damage     string // what the last step left
	Difference string // why the last run did not do it
	Elapsed    time.Duration
	Skipped    string // why nothing was run
	Ours       Survival
}

// A Survival says what the unmodified library did on the same schedules.
type Survival struct {
	Runs     int
	Survived int
	Followed int      // steps of a run that the scheduled process could take
	Refused  []string // steps that it could not, and why
	Lost     string   // what was lost in the last run, or ""
}

// A DifferenceError says in what the code differs from the specification, at the
// last step that [Replay] has written.
type DifferenceError struct{ error }

// Unwrap returns what differs.
func (e DifferenceError) Unwrap() error { return e.error }

// Passed says whether the damage was done in every run, and ours did none.
func (r CounterexampleReport) Passed() bool {
	return r.Runs > 0 && (r.Mutant || r.Damaged == r.Runs) && r.Ours.Survived == 2*r.Runs
}

// String is the report for people.
func (r CounterexampleReport) String() string {
	if r.Skipped != "" {
		return fmt.Sprintf("%s: skipped, because %s\n", r.Model, r.Skipped)
	}
	var b strings.Builder
	if r.Mutant {
		fmt.Fprintf(&b, "the fault is one of the library, and not in its code: afterlock mutants has it; here is what the library does instead\n")
	} else {
		fmt.Fprintf(&b, "%d of %d runs: %s is refuted in the observed world: %s\n", r.Damaged, r.Runs, r.Property, r.Damage)
	}
	fmt.Fprintf(&b, "%d steps a run, %.2f s\n", r.Steps, r.Elapsed.Seconds())
	if r.Difference != "" {
		fmt.Fprintf(&b, "the next run did not do it: %s\n", r.Difference)
		return b.String()
	}
	fmt.Fprintf(&b, "ours on the same schedule, as it is and with creators that go on until there is something to find: %d of %d runs lost nothing, and recovery emptied the root\n",
		r.Ours.Survived, 2*r.Runs)
	if r.Ours.Lost != "" {
		fmt.Fprintf(&b, "ours: %s\n", r.Ours.Lost)
	}
	fmt.Fprintf(&b, "ours took %d of %d steps; refused were:\n", r.Ours.Followed, r.Steps)
	for _, line := range r.Ours.Refused {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	return b.String()
}

// A Where is where upstream's processes are, seen from ours. Locks of processes
// are one thing for all of this system but for one place: whoever shares a process
// with upstream drops its locks by closing their files (rule 15).
type Where string

const (
	Together Where = "together" // in the process of ours
	Apart    Where = "apart"    // each in another process
	Mounts   Where = "mounts"   // each in another process, with a mount name space of its own
	PIDs     Where = "pids"     // each in another process, which is number 1 of a name space
)

// Wheres are all places.
var Wheres = []Where{Together, Apart, Mounts, PIDs}

// Words is the place in words.
func (w Where) Words() string {
	return map[Where]string{Together: "in our process", Apart: "in another process", Mounts: "in another mount name space", PIDs: "in another pid name space"}[w]
}

// A FleetReport says how the library and upstream's code got on.
type FleetReport struct {
	Walks, Steps int64
	Followed     int64  // steps of the model that their process could take
	Lost         string // what was lost, or ""
	Schedule     string // how, for [Replay]
	Skipped      string // why there can be no such process here
	Elapsed      time.Duration
}
