package linearizability

import (
	"log/slog"
	"slices"
	"time"
)

// A Config says what to run. Dir must be given.
type Config struct {
	Dir        string        // existing directory: the scratch directory is made in it and always removed
	Keep       string        // existing directory for what failed; default: Dir
	Images     string        // existing directory for image stores, if it is on another file system; default: one that everybody may use
	Seed       uint64        // of all choices: programs, crash points, kills
	Goroutines int           // histories of goroutines
	Processes  int           // histories of forked processes that are killed
	Files      int           // in every tree; default: 2, for which most is found in the time
	Duration   time.Duration // how long to go on at least
	Timeout    time.Duration // see [Judge]
	Log        *slog.Logger
	Progress   func(text string) // called now and then, one call at a time

	fault string // see faults
}

// A Report is what [Run] did and found.
type Report struct {
	FileSystem string // type of the scratch directory's file system
	Images     string // and of that of the image stores
	SameSystem bool   // they are on one, for want of another: no move of a layer between two was tried
	Goroutines int64  // histories of goroutines that were judged
	Processes  int64  // histories of forked processes that were judged
	Layouts    map[string]int64

	WithImages int64 // histories with an image store
	Full       int64 // histories on a disk that has no room now and then

	Operations int64            // with a response or cut off
	CutOff     int64            // of these, by a kill
	Refused    int64            // because of what others had done: clients met
	Answers    map[string]int64 // how often operations answered what, see [Answers]
	Kills      int64            // by SIGKILL
	AtCalls    int64            // of these, before a chosen system call
	Removing   int64            // of these, while a layer was being removed
	CleanedUp  int64            // recoveries after which nothing was left
	Held       int64            // store locks that processes with one client had exclusively
	Under      int64            // removals under those

	Illegal   int64
	Undecided int64
	Problems  []string // illegal histories, and operations that failed: each with the command that judges the history again; leaks
	Because   []string // the same of undecided histories
	Judging   time.Duration
}

// Answers are what operations have to have answered, each of them, in a run that
// shows anything: the kind, and how it ended.
var Answers = []string{
	"create ok", "create ok on a parent", "create ok in the image store", "create taken", "create noparent",
	"delete ok", "delete ok inplace", "delete unknown", "delete children", "delete mounted",
	"list ok", "exists ok yes", "exists ok no", "read ok", "read ok with parents", "read unknown",
	"look ok a tree", "look ok a link", "look ok nothing", "recover ok all", "recover ok some",
	"mount ok", "mount unknown", "unmount ok", "unmount unknown", "unmount unmounted",
}

// answers are which of [Answers] the operation has.
func (op *Operation) answers() []string {
	r, plain := &op.Result, string(op.Kind)+" "+string(op.Result.Outcome)
	all := []string{plain}
	add := func(holds bool, text string) {
		if holds {
			all = append(all, plain+" "+text)
		}
	}
	if r.Outcome != Done {
		return all
	}
	switch op.Kind {
	case Create:
		add(op.Parent != "", "on a parent")
		add(op.Image, "in the image store")
	case Delete:
		add(r.Yes, "inplace")
	case Exists:
		add(true, choose(r.Yes, "yes", "no"))
	case Read:
		add(len(r.Trees) > 1, "with parents")
	case Look:
		add(len(r.Trees) > 0, "a tree")
		add(r.Yes, "a link")
		add(len(r.Trees) == 0 && !r.Yes, "nothing")
	case Recover:
		add(true, choose(r.Yes, "all", "some"))
	}
	return all
}

// Unanswered returns which of [Answers] no operation gave.
func (r *Report) Unanswered() []string {
	return slices.DeleteFunc(slices.Clone(Answers), func(answer string) bool { return r.Answers[answer] > 0 })
}
