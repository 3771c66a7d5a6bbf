package blackbox

import "time"

// DriverRole is the role, of package proc, of the driver of that name; see package
// drivers.
func DriverRole(name string) string { return "blackbox driver " + name }

// Options choose what is run. The zero value is a run of about ten seconds on
// two processors, in memory. Dir must be given.
type Options struct {
	Dir     string // existing directory for a scratch directory
	Seed    uint64 // of the random schedules
	Workers int    // at a time; 0: one for each processor
	Command string // path of the afterlock command, which has the drivers; "": this program, which has to import package drivers, and call proc.Become
	Deep    bool   // all errnos on all programs, longer searches

	// ShardI of ShardN parts of every enumeration, from 1; 0 of 0 is all of it.
	ShardI, ShardN int

	Phase string // the name of the only phase to run; "": all

	// Progress is told what is being done, from any goroutine. May be nil.
	Progress func(text string)
}

// A Report is what [Run] did and found. All counts are of this shard.
type Report struct {
	Programs int // programs that were run, see programs

	CrashPoints  int // mutating calls of the programs before which the disk was copied, and the copy recovered by another process
	NestedPoints int // mutating calls of recoveries before which the disk was looked at
	States       int // different states of the disk that a crash left, of programs and of recoveries; a recovery finished from each
	Kills        int // real SIGKILLs of a program, one before each of its calls, in a store each of its mutating ones unless deep, each recovered
	NestedKills  int // real SIGKILLs of a recovery, each finished by a third process

	Faults  int // runs in which a call was answered with an errno
	Refused int // of Faults: the program reported an error; it did its work in the rest

	Schedules       int // of three processes of tempdir, at random
	Exhaustive      int // schedules of two processes of tempdir with at most two preemptions: all there are
	StoreSchedules  int // of three processes of a layer store, at random: one deletes, one adds, one recovers
	StoreExhaustive int // schedules of the two of them that delete and add, with one preemption: all there are
	Lost            int // schedules after which something live was lost or something was left

	FixtureRandom int // random schedules until the fixture lost data; 0: it did not

	// Problems are what is wrong, one line each, with the command that repeats
	// it. More than a few are counted only.
	Problems []string
	More     int

	Phases []Phase
}

// A Phase is a part of a run and how long it took.
type Phase struct {
	Name string
	Took time.Duration
}
