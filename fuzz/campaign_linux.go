package fuzz

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/afterlock/afterlock/crashsim/disk"
	"github.com/afterlock/afterlock/internal/bench/schedule"
)

// Options are what a campaign does.
type Options struct {
	Seed       uint64
	Executions int64         // 0: no bound
	Duration   time.Duration // 0: no bound
	Until      int           // stop after so many classes; 0: do not
	Empty      bool          // begin without the corpus
	Blind      bool          // keep nothing: every program is drawn anew
	Canary     bool          // see [FuzzCanary]
}

// A Report is what a campaign did.
type Report struct {
	Corpus     int   // programs that it began with
	Executions int64 // with those
	Undecided  int64 // of them, without a verdict of the model
	Steps      int64 // of the model Gate that they took
	Kept       int   // programs that met a class that no other had met
	Classes    int   // of the model Gate
	Of         int
	Problems   []string // of the first program that has any, made smaller
	Repeat     string   // its command
	Elapsed    time.Duration
}

// Campaign runs the corpus, and then programs that are drawn or made of those that
// met a new class of the model Gate. It is the fuzzer of the gate, which has no Go
// toolchain; "go test -fuzz" sees the code besides. It ends with the first program
// that has a problem. The error is the context's, or the machine's.
func Campaign(ctx context.Context, o Options) (r Report, err error) {
	begin := time.Now()
	coverage, err := NewCoverage(ctx, "Gate")
	if err != nil {
		return r, err
	}
	m := NewMachine(coverage.Step)
	defer m.Close()
	var pool [][]byte
	try := func(data []byte) (stop bool, err error) {
		s := Decode(data)
		if o.Canary {
			canary(s)
		}
		before := coverage.count
		problems, err := m.Run(ctx, s)
		if coverage.count > before {
			r.Kept++
			if !o.Blind {
				pool = append(pool, data)
			}
		}
		if err != nil || len(problems) == 0 {
			return err != nil || o.Until > 0 && coverage.count >= o.Until, err
		}
		r.Executions = m.Programs
		s = m.Shrink(ctx, s, problems[0])
		r.Problems, err = m.Run(ctx, s)
		r.Repeat = "afterlock replay " + s.String()
		return true, err
	}
	finish := func() (Report, error) {
		if r.Repeat == "" {
			r.Executions = m.Programs
		}
		r.Undecided, r.Steps, r.Elapsed = m.Undecided, coverage.steps, time.Since(begin)
		r.Classes, r.Of = coverage.Reached()
		return r, err
	}
	var entries []Entry
	if !o.Empty {
		if entries, err = Corpus(); err != nil {
			return r, err
		}
	}
	stop := false
	for _, entry := range entries {
		var data []byte
		if data, err = Encode(entry.Program); err != nil {
			return r, err
		}
		r.Corpus++
		if stop, err = try(data); stop {
			return finish()
		}
	}
	random := rand.New(rand.NewPCG(o.Seed, 14))
	for !stop && (o.Executions == 0 || m.Programs < o.Executions) && (o.Duration == 0 || time.Since(begin) < o.Duration) && ctx.Err() == nil {
		stop, err = try(mutate(random, pool))
	}
	if err == nil {
		err = ctx.Err()
	}
	return finish()
}

// mutate draws a program, or changes one of the pool in a few places.
func mutate(random *rand.Rand, pool [][]byte) (data []byte) {
	if len(pool) == 0 || random.IntN(8) == 0 {
		data = make([]byte, 2+random.IntN(maxBytes/2))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		return data
	}
	data = append(data, pool[random.IntN(len(pool))]...)
	for range 1 + random.IntN(4) {
		at := random.IntN(len(data))
		switch random.IntN(5) {
		case 0:
			data = append(data[:at], data[min(at+1+random.IntN(3), len(data)):]...)
		case 1:
			other := pool[random.IntN(len(pool))]
			data = append(data[:at:at], other[random.IntN(len(other)):]...)
		case 2:
			data = append(data[:at:at], append([]byte{byte(random.Uint32())}, data[at:]...)...)
		default:
			data[at] = byte(random.Uint32())
		}
		if len(data) < 2 {
			data = append(data, 0, 0)
		}
	}
	return data
}

// canary plants a failure into a program: the library makes no fsync of its own
// (rule 11), on a file system that orders nothing.
func canary(s *schedule.Schedule) {
	program, _, _ := strings.Cut(s.Program, ",sync=")
	s.Program, s.World = program+",sync=flag+record+content", disk.Weak.String()
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
