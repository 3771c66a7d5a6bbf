package stress

import (
	"fmt"
	"time"

	"github.com/afterlock/afterlock/model/conformance/trace"
)

// A LifecycleReport is what [Lifecycle] did and found.
type LifecycleReport struct {
	FileSystem string // type of the scratch directory's file system
	Creators   int    // processes that staged and closed
	Recoverers int    // processes that recovered

	Space       int64 // bytes that it needs on disk at most, about
	Layers      int64 // laid out at the start
	Files       int64 // in those layers, of any type
	Deletions   int64 // reported done
	Additions   int64 // reported committed
	Kills       int64 // by SIGKILL
	KillsInside int64 // of these, while data was being removed
	Recoveries  int64 // calls of Recover by the processes that recover
	Recovered   int64 // instances that those calls removed
	Checked     int64 // layers hashed: staged ones before their removal, and those left at the end

	Problems []string // what was lost, damaged, left or leaked; empty if all is well
}

// A RaceReport is what [Race] did and found.
type RaceReport struct {
	FileSystem string // type of the scratch directory's file system
	Creators   int
	Recoverers int
	Elapsed    time.Duration

	Instances  int64 // created, checked and closed
	Lost       int64 // instances whose data was gone or partial while they were live
	Partial    int64 // commits that returned success without all files
	Commits    int64 // trees committed, and checked twice
	Recoveries int64 // calls of Recover
	Met        int64 // live instances that those calls skipped

	Problems []string // every loss and every error in words; empty if all is well
}

// String returns the result on one line.
func (r RaceReport) String() string {
	return fmt.Sprintf("race: %d instances, %d lost, %d partial commits, %d recoveries in %.1f s (%d creators, %d recoverers, %s)",
		r.Instances, r.Lost, r.Partial, r.Recoveries, r.Elapsed.Seconds(), r.Creators, r.Recoverers, r.FileSystem)
}

// A TracesReport is what [Traces] did and found.
type TracesReport struct {
	FileSystem string
	Roots      int
	Recording  time.Duration // how long the workers were recorded
	Judging    time.Duration // how long the validation took

	GoroutineEvents int64 // by goroutines that share a process with others
	ProcessEvents   int64 // by processes of their own
	Kills           int64 // by SIGKILL
	Validation      trace.Report

	Saved    string   // the trace, if it is not valid
	Problems []string // beside those of the validation: what was left or leaked, and every unexpected end
}
