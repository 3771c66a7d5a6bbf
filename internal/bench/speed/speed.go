// Package speed measures how long deletions take, side by side: ours, what is
// installed of others, and bare loops of system calls as the limit of the kernel.
//
// Everything is in one run: in a round each contender removes a new tree of the same
// shape on the same file system, and the order is another one in every round. What a
// file system does after a removal has returned (a journal, discards) is waited for
// before the next, and is nobody's. So the numbers of one round are pairs, and what is
// said of two contenders is said of the ratios of those pairs.
//
// A command is measured from its start to its end. What runs in this process, package
// tempdir, os.RemoveAll and the loops, is measured from call to return: a command pays
// a millisecond or more for its start, so each is compared with ours of its own kind.
package speed

import (
	"context"
	"math"
	"slices"
	"time"
)

// Options say what to measure. [Options.Check] fills in what is not said.
type Options struct {
	Dir         string        // existing directory for trees, and for images of file systems
	Tables      []string      // of Tables; none: all
	FileSystems []string      // of FileSystems; none: all if this user may mount, or "here"
	Shapes      []string      // of Shapes; none: DefaultShapes
	Like        []string      // directories, whose trees are shapes too
	Against     []string      // of Peers, or Nobody; none: all that are installed
	Only        []string      // of OurRows; none: all
	Files       int           // in a tree
	Pairs       int           // rounds
	Time        time.Duration // if not 0: no round begins that would end later
	Limit       bool          // the bare loops, too
	Cold        bool          // with dropped caches; for the superuser

	Progress func(text string) `json:"-"` // if not nil
}

// Prove proves the protocol, for the table of the checks, and returns how many questions that
// took. A program that measures sets it in all of its processes.
var Prove func(context.Context) (questions int, err error)

// What there is to choose from.
var (
	Tables        = []string{"removal", "hold", "idle", "recovery", "memory", "checks"}
	FileSystems   = []string{"tmpfs", "ext4", "xfs", "btrfs", "here"}
	Shapes        = []string{"nested", "many", "flat", "small", "deep", "huge", "toolchain"}
	DefaultShapes = []string{"nested", "flat"}
)

// A Report is what was measured.
type Report struct {
	System      string   `json:"system"` // kernel, processors, where
	LoadBefore  string   `json:"load_before"`
	LoadAfter   string   `json:"load_after"`
	Skipped     []string `json:"skipped"` // what was not measured, and why
	Cells       []*Cell  `json:"removals"`
	Rows        []Row    `json:"rows"` // of the other tables
	Interrupted bool     `json:"interrupted"`
}

// A Cell is the removals of trees of one shape on one file system.
type Cell struct {
	FileSystem string    `json:"file_system"`
	Shape      string    `json:"shape"`
	Files      int       `json:"files"`
	Cold       bool      `json:"cold"`
	Series     []*Series `json:"series"`
}

// A Series is what one contender took, round by round.
type Series struct {
	By    string          `json:"by"`
	Kind  Kind            `json:"kind"`
	Took  []time.Duration `json:"nanoseconds"`
	Error string          `json:"error,omitempty"` // it is out of the cell since
}

// A Kind says what a contender is compared with.
type Kind string

// The kinds.
const (
	Command Kind = "command" // a program, with its start
	Library Kind = "library" // a call
	Bare    Kind = "limit"   // a loop of system calls
)

var ourNames = []string{"afterlock rm", "tempdir.Remove", "staged"}

// Nobody is compared with.
const Nobody = "none"

// Ours is the series that those of the kind are compared with.
var Ours = map[Kind]string{Command: ourNames[0], Library: ourNames[1], Bare: ourNames[1]}

// find returns the series of the name, or nil.
func (c *Cell) find(by string) *Series {
	for _, s := range c.Series {
		if s.By == by {
			return s
		}
	}
	return nil
}

// Best is the fastest of the bare loops, or nil.
func (c *Cell) Best() (best *Series) {
	for _, s := range c.Series {
		if s.Kind == Bare && len(s.Took) > 0 && (best == nil || s.Median() < best.Median()) {
			best = s
		}
	}
	return best
}

// Median is the median of the series.
func (s *Series) Median() time.Duration { return quantile(s.Took, 0.5) }

// Quartiles are the first and the third of the series.
func (s *Series) Quartiles() (first, third time.Duration) {
	return quantile(s.Took, 0.25), quantile(s.Took, 0.75)
}

// A Ratio is how many times longer a contender took than ours: the median of the
// ratios of pairs. Low and High are its interval of at least 95 % confidence, by the
// ranks of the pairs, so that it assumes nothing about how times are distributed; both
// are 0 where there are fewer than the six pairs that it takes.
type Ratio struct{ Median, Low, High float64 }

// Ratio compares the two, pair by pair. There is none with a series that is nil or empty.
func (s *Series) Ratio(ours *Series) (r Ratio, ok bool) {
	if ours == nil {
		return r, false
	}
	var pairs []float64
	for i := range min(len(s.Took), len(ours.Took)) {
		pairs = append(pairs, float64(s.Took[i])/float64(ours.Took[i]))
	}
	if len(pairs) == 0 {
		return Ratio{}, false
	}
	r.Median = quantile(pairs, 0.5)
	if k := rank(len(pairs)); k >= 0 {
		slices.Sort(pairs)
		r.Low, r.High = pairs[k], pairs[len(pairs)-1-k]
	}
	return r, true
}

// rank is the highest number of values to leave out at each end of n sorted ones, such
// that the median of what they are drawn from is among the others with at least 95 %; or
// -1. Each of them is below that median as a coin falls.
func rank(n int) int {
	tail, term := 0.0, -float64(n)*math.Ln2 // term: exactly k of n below it, as a logarithm, which does not underflow
	for k := 0; ; k++ {
		if tail += math.Exp(term); tail > 0.025 {
			return k - 1
		}
		term += math.Log(float64(n-k) / float64(k+1))
	}
}

// quantile is that of the values, between two of them if need be.
func quantile[T time.Duration | float64](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + T((at-float64(low))*float64(sorted[high]-sorted[low]))
}

// A Row is a line of one of the small tables.
type Row struct {
	Table      string        `json:"table"`
	FileSystem string        `json:"file_system"`
	What       string        `json:"what"`
	N          int           `json:"n"` // of files, deleters, instances, states
	Took       time.Duration `json:"nanoseconds,omitempty"`
	Each       time.Duration `json:"nanoseconds_each,omitempty"`
	User       time.Duration `json:"nanoseconds_user,omitempty"` // of processors
	Kernel     time.Duration `json:"nanoseconds_kernel,omitempty"`
	Count      int           `json:"count,omitempty"` // of what the table says
	Memory     int64         `json:"memory_bytes,omitempty"`
}

// Failed reports whether a contender failed.
func (r *Report) Failed() bool {
	return slices.ContainsFunc(r.Cells, func(c *Cell) bool {
		return slices.ContainsFunc(c.Series, func(s *Series) bool { return s.Error != "" })
	})
}
