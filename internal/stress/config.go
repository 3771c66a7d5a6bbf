package stress

import (
	"errors"
	"log/slog"
	"time"
)

// A Config says what to run. The zero value of a field means its default,
// except for Dir and Tree, which must be given.
type Config struct {
	Dir        string        // existing directory; the scratch directory is made in it and always removed
	Keep       string        // existing directory for a trace that is not valid; default: Dir
	Tree       string        // files to make layers of; [Lifecycle] only; default: it makes some
	Seed       uint64        // of all choices
	Duration   time.Duration // how long the workers work
	Creators   int           // processes that stage and close
	Recoverers int           // processes that recover
	Events     int           // [Traces]: how many to record at least
	Log        *slog.Logger
	Progress   func(text string) // called now and then, from one goroutine, with a line for people

	// Which of the test binary's kernels the workers use instead of the real
	// one; see kernels.
	creatorKernel, recovererKernel string
}

func (c Config) withDefaults(duration time.Duration, creators, recoverers int) Config {
	if c.Duration == 0 {
		c.Duration = duration
	}
	if c.Creators == 0 {
		c.Creators = creators
	}
	if c.Recoverers == 0 {
		c.Recoverers = recoverers
	}
	if c.Keep == "" {
		c.Keep = c.Dir
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	return c
}

// ErrEnvironment matches the errors of the stages that say nothing
// about the library: a full disk, a missing tree, no more descriptors.
var ErrEnvironment = errors.New("the environment does not allow the run")

// What a run has to do to say anything: a slow machine gets more time for it.
const (
	MinInstances = 100 // of [Race]
	MinCommits   = 20  // of [Race]
	MinKills     = 20  // of [Lifecycle]

	MinTraceKills = 20 // of [Traces]
)
