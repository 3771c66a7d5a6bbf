package fuzz

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/schedule"
)

// Options are what a campaign does.
type Options struct {
	Seed       uint64
	Executions int64         // how many programs are run
	Least      time.Duration // and how long at least
	Empty      bool          // begin without the corpus
	Blind      bool          // keep nothing: every program is drawn anew
	Canary     bool          // see [FuzzCanary]
	Complete   bool          // end when every class was met
}

// A Report is what a campaign did.
type Report struct {
	Corpus     int      // programs that it began with
	Executions int64    // with those
	Undecided  int64    // of them, without a verdict of the model
	Steps      int64    // of the model Gate that they took
	Kept       int      // programs that met a class that no other had met
	Classes    int      // of the model Gate
	Of         int      // that a trace can show
	Hidden     int      // that none can
	Complete   int64    // programs after which every class was met; 0: not all were
	Problems   []string // of the first program that has any, made smaller
	Repeat     string   // its command
	Elapsed    time.Duration
}

// Campaign runs the corpus, and then programs that are drawn or made of those that
// met a new class of the model Gate. It is the fuzzer of the gate, which has no Go
// toolchain; "go test -fuzz" sees the code besides. It ends with the first program
// that has a problem. The error is the context's, or the machine's.
func Campaign(ctx context.Context, o Options) (Report, error) {
	begin := time.Now()
	coverage, err := NewCoverage(ctx, "Gate")
	if err != nil {
		return Report{}, err
	}
	c := campaign{Options: o, machine: NewMachine(coverage.Step), coverage: coverage}
	defer c.machine.Close()
	err = c.run(ctx, begin)
	c.Undecided, c.Steps, c.Elapsed = c.machine.Undecided, coverage.steps, time.Since(begin)
	c.Classes, c.Of = coverage.Reached()
	c.Hidden = coverage.Hidden
	return c.Report, err
}

type campaign struct {
	Options
	Report
	machine  *Machine
	coverage *Coverage
	pool     []kept
}

// kept is a program that met something new.
type kept struct {
	data  []byte
	class int // the last that was new
}

func (c *campaign) run(ctx context.Context, begin time.Time) error {
	if !c.Empty {
		entries, err := Corpus()
		if err != nil {
			return err
		}
		for _, entry := range entries {
			data, err := Encode(entry.Program)
			if err == nil {
				err = c.try(ctx, data)
			}
			if err != nil || len(c.Problems) > 0 {
				return err
			}
			c.Corpus++
		}
	}
	random := rand.New(rand.NewPCG(c.Seed, 14))
	for c.Report.Executions < c.Options.Executions || time.Since(begin) < c.Least {
		if c.Options.Complete && c.Report.Complete > 0 {
			return nil
		}
		err := cmp.Or(c.try(ctx, c.mutate(random)), ctx.Err())
		if err != nil || len(c.Problems) > 0 {
			return err
		}
	}
	return nil
}

// try runs one program.
func (c *campaign) try(ctx context.Context, data []byte) error {
	s := Decode(data)
	if c.Canary {
		canary(s)
	}
	before := c.coverage.count
	problems, err := c.machine.Run(ctx, s)
	c.Report.Executions++
	if c.coverage.count > before {
		c.Kept++
		if !c.Blind {
			c.pool = append(c.pool, kept{data, c.coverage.latest})
		}
		if n, of := c.coverage.Reached(); n == of {
			c.Report.Complete = c.Report.Executions
		}
	}
	if err == nil && len(problems) > 0 {
		s = c.machine.Shrink(ctx, s, problems[0])
		c.Repeat = "afterlock replay " + s.String()
		c.Problems, err = c.machine.Run(ctx, s)
		if len(c.Problems) == 0 {
			c.Problems = append(problems, "and once more: nothing")
		}
	}
	return err
}

// mutate draws a program, or changes one of the pool in a few places.
func (c *campaign) mutate(random *rand.Rand) (data []byte) {
	draw := func(n int) { // steps, and seldom a power loss
		for range n {
			b := byte(random.Uint32())
			if b&3 == 3 && random.IntN(8) > 0 {
				b ^= byte(1 + random.IntN(3))
			}
			data = append(data, b)
		}
	}
	if len(c.pool) == 0 || random.IntN(64) == 0 {
		draw(2 + random.IntN(maxBytes/2))
		return data
	}
	data = append(data, c.choose(random)...)
	for range 1 + random.IntN(4) {
		at := random.IntN(len(data))
		rest := slices.Clone(data[at:])
		data = data[:at]
		switch random.IntN(6) {
		case 0:
			rest = rest[min(1+random.IntN(3), len(rest)):]
		case 1:
			other := c.choose(random)
			rest = other[random.IntN(len(other)):]
		case 2:
			draw(1)
		case 3:
			draw(1 + random.IntN(12))
			rest = nil
		default:
			draw(1)
			rest = rest[1:]
		}
		if data = append(data, rest...); len(data) < 2 {
			draw(2)
		}
	}
	return data
}

// choose returns one of a few programs of the pool: the one whose class was met least
// by now. What is seldom met is near what was never met.
func (c *campaign) choose(random *rand.Rand) []byte {
	best := c.pool[random.IntN(len(c.pool))]
	for range 16 {
		if other := c.pool[random.IntN(len(c.pool))]; c.coverage.hits[other.class] < c.coverage.hits[best.class] {
			best = other
		}
	}
	return best.data
}

// canary plants a failure into a program: nobody makes an fsync of what was moved
// (rule 11), on a file system that orders nothing.
func canary(s *schedule.Schedule) {
	program, _, _ := strings.Cut(s.Program, ",sync=")
	s.Program, s.World = program+",sync=flag+content", disk.Weak.String()
}

// Failure is what a target says of a program with problems: the program made
// smaller, what it does call by call, and the command that repeats it.
func (m *Machine) Failure(ctx context.Context, s *schedule.Schedule, problem string) string {
	var b strings.Builder
	s = m.Shrink(ctx, s, problem)
	fmt.Fprintf(&b, "%s\n\n", problem)
	if _, err := Replay(ctx, s.String(), &b); err != nil {
		fmt.Fprintln(&b, err)
	}
	fmt.Fprintf(&b, "\n%d steps; repeat: afterlock replay %s\n", len(s.Steps), s)
	return b.String()
}
