// Package worlds runs programs of the library in places that differ in many respects
// at once: the file system, the user, what the kernel and a sandbox refuse, the shape
// of what is deleted, who else is there. Faults that people met were combinations
// that nobody had written down; here a machine draws them, so that every value meets
// every other one (deep, every two others), and oracles judge that need no expected
// result: nil means gone, an error has a reason and leaves things intact, nothing
// outside is touched, where nothing is in the way it succeeds, what rm can delete we can.
//
// A world that the kernel refuses to build is not left out by a list: it is tried,
// and the errno is kept with the values that it is about.
package worlds

import (
	"context"
	"fmt"
	"io"
)

// Options say what Run does.
type Options struct {
	Dir            string // existing directory, which is one of the file systems
	Seed           uint64
	Deep           bool              // every three values instead of every two
	World          string            // only this one, as [World.String] writes it
	Many           bool              // those of a [Player]
	First          bool              // end soon after the first finding
	Limit          int               // of the worlds that are played; 0: none
	ShardI, ShardN int               // only every ShardN-th world, from ShardI
	Progress       func(text string) `json:"-"`

	stuck func(finding string) // ends the process
}

// A Report is what Run did.
type Report struct {
	Worlds       int      // that were played
	Combinations int      // of values
	Possible     int      // that can be had
	Covered      int      // that were in a world, which is one of this shard's
	Values       []string // that cannot be had here at all, with the reason
	Refused      []string // combinations that cannot be had here, with the reason
	Findings     []string // what is wrong, one line each, with the command that repeats it
}

// Command is the program whose commands the cli programs are, if this is one: it
// returns the exit code. Set it in an init function.
var Command func(ctx context.Context, arguments []string, out io.Writer) int

// Replay plays the world of a text that a finding has printed, in dir, and writes
// what is wrong there. The error matches errors.ErrUnsupported where it cannot be
// built.
func Replay(ctx context.Context, text, dir string, out io.Writer) (findings int, err error) {
	r, err := Run(ctx, Options{Dir: dir, World: text})
	for _, finding := range r.Findings {
		fmt.Fprintln(out, finding)
	}
	if err == nil && len(r.Findings) == 0 {
		fmt.Fprintln(out, "nothing is wrong in this world")
	}
	return len(r.Findings), err
}
