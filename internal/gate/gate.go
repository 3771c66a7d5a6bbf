// Package gate runs the stages of "afterlock verify" and judges them.
//
// A [Stage] does something to the library and reports what it counted. A stage
// cannot pass by doing nothing: every count has a minimum, at least 1, and a
// count below it makes the verdict undecided. Nor can the gate pass with less
// than all of its parts: a stage that cannot run here is skipped, a part of a
// stage that cannot is a [Skip], and either makes the verdict of the run
// "skipped", unless the user allows that. So silence is never success.
package gate

import (
	"context"
	"log/slog"
	"time"
)

// A Stage is one check of the gate. [Stages] has them all.
type Stage struct {
	Name        string // one lower-case word, for --run and the table
	Description string // one line for the help text

	// Run does the check. It ends soon after ctx is done, and leaves nothing
	// behind. Counts that tell a wrong result (lost, partial) are bounded with
	// [Never]; the verdict follows from the counts and the problems, unless Run
	// sets Skipped, Elsewhere or Undecided.
	//
	// The error says that the check could not be made: a missing tree, a full
	// disk. It is the caller's environment that must change, not the library,
	// and the verdict is Environment.
	Run func(ctx context.Context, env Env) (Result, error)
}

// A Config is what the user chose. The zero value of a field means the stage's
// default, except for Dir and Seed.
type Config struct {
	Dir        string        // existing directory: its file system is checked, and what is worth keeping stays in it
	Seed       uint64        // of all random choices
	Duration   time.Duration // of each stage that runs for a time
	Deep       bool          // larger bounds, longer searches
	Shard      Shard         // of the enumerations
	AllowSkips bool          // what cannot be run here does not keep the run from passing
}

// A Shard is one of N parts of an enumeration, for N machines: part I, from 1.
// The zero value is all of it.
type Shard struct{ I, N int }

// part is what falls to the shard of what is listed.
func part[T any](s Shard, all []T) (its []T) {
	for i, one := range all {
		if i%max(s.N, 1) == max(s.I, 1)-1 {
			its = append(its, one)
		}
	}
	return its
}

// An Env is what a stage gets.
type Env struct {
	Config
	Scratch string // directory of this run in Dir, removed at the end
	Memory  string // the same on a file system in memory; Scratch, if there is none to write to
	Log     *slog.Logger
	// Progress shows one line of what is being done. It may be called at any
	// rate and from any goroutine.
	Progress func(text string)
}

// A Count is a number that a stage asserts: at least Min, and at most Max if
// Never is set. The constructors are [AtLeast] and [Never].
type Count struct {
	Name  string `json:"name"`
	N     int64  `json:"n"`
	Min   int64  `json:"min"`
	Never bool   `json:"never,omitempty"` // must be 0
}

// AtLeast is a count that shows work done: below min, and below 1 in any case,
// the stage is undecided.
func AtLeast(name string, n, min int64) Count {
	return Count{Name: name, N: n, Min: max(min, 1)}
}

// Never is a count of what must not happen: above 0 the stage fails.
func Never(name string, n int64) Count {
	return Count{Name: name, N: n, Never: true}
}

// A Skip is a part of a stage that was not run.
type Skip struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// A Result is what a stage did and found.
type Result struct {
	Ran      string   // what was run, in a few words
	Counts   []Count  // in the order of the table
	Problems []string // what is wrong, one line each; any of them fails the stage
	Line     string   // one line that sums the run up, printed as it is; may be empty

	// Because is why the stage was skipped, or could not decide. Elsewhere is for
	// a stage that has nothing to do in this shard, and is not missed.
	Skipped   bool
	Elsewhere bool
	Undecided bool
	Because   string

	// Skips are the parts that were not run, of a stage that was.
	Skips []Skip

	Repeat string // a command that shows one failure alone; "": the one that repeats the run
}
