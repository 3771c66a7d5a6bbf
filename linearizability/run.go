package linearizability

import (
	"log/slog"
	"time"
)

// A Config says what to run. Dir must be given.
type Config struct {
	Dir        string        // existing directory: the scratch directory is made in it and always removed, and what failed is kept in it
	Seed       uint64        // of all choices: programs, crash points, kills
	Goroutines int           // histories of goroutines
	Processes  int           // histories of forked processes that are killed
	Timeout    time.Duration // see [Judge]
	Log        *slog.Logger
	Progress   func(text string) // called now and then, one call at a time

	fault string // see faults
}

// A Report is what [Run] did and found.
type Report struct {
	FileSystem string // type of the scratch directory's file system
	Goroutines int64  // histories of goroutines that were judged
	Processes  int64  // histories of forked processes that were judged
	Layouts    map[string]int64

	Operations int64 // with a response or cut off
	CutOff     int64 // of these, by a kill
	Refused    int64 // because there was a layer, or was none: clients met
	Kills      int64 // by SIGKILL
	AtCalls    int64 // of these, before a chosen system call
	CleanedUp  int64 // recoveries after which nothing was left

	Illegal   int64
	Undecided int64
	Problems  []string // illegal histories, and operations that failed: each with the command that judges the history again
	Because   []string // the same of undecided histories
	Judging   time.Duration
}
