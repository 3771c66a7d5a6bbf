package fleet

import (
	"errors"
	"time"

	"github.com/afterlock/afterlock/model/conformance/trace"
)

// A Config says what to run. Dir must be given; other zero values are defaults.
type Config struct {
	Dir      string            // existing directory; the scratch directory is made in it and always removed
	Keep     string            // existing directory for a trace that is not valid; default: Dir
	Seed     uint64            // of all choices
	Duration time.Duration     // how long the workers work at least
	Events   int               // how many to record at least; default: 150,000
	Progress func(text string) // called now and then, from one goroutine, with a line for people

	kernel string // which of the test binary's kernels the workers use; see kernels
}

// What a run has to do to say anything: a slow machine gets more time for it.
const (
	MinKills   = 20
	MinCommits = 20
)

// A Report is what [Run] did and found.
type Report struct {
	FileSystem string // of the scratch directory
	Roots      int
	Recording  time.Duration // how long the workers were recorded
	Judging    time.Duration // how long the validation took

	GoroutineEvents int64 // by goroutines that share a process with others
	ProcessEvents   int64 // by processes of their own
	Kills           int64 // by SIGKILL
	Looks           int64 // at what was staged: all of it has to be there
	Commits         int64 // trees that were committed, and looked at twice
	Lost            int64 // data of live instances that was gone, or not whole
	Partial         int64 // commits that returned success without all files
	Validation      trace.Report

	Saved    string   // the trace, if it is not valid
	Problems []string // beside those of the validation: what was lost, left or leaked, and every unexpected end
}

// ErrEnvironment matches the errors that say nothing about the library: a full
// disk, no more descriptors.
var ErrEnvironment = errors.New("the environment does not allow the run")
