package gate

import (
	"fmt"
	"strings"
	"time"
)

// A Verdict is one of four words.
type Verdict string

const (
	Pass      Verdict = "pass"
	Fail      Verdict = "fail"
	Undecided Verdict = "undecided" // not refuted, and not enough was done to say more
	Skipped   Verdict = "skipped"   // cannot be run here
)

// Exit codes of the gate.
const (
	ExitPass        = 0
	ExitFail        = 1
	ExitEnvironment = 2 // usage, or the environment does not allow a stage
	ExitUndecided   = 3
)

// An Outcome is a stage's result with its verdict.
type Outcome struct {
	Stage       string        `json:"stage"`
	Ran         string        `json:"ran"`
	Counts      []Count       `json:"counts"`
	Verdict     Verdict       `json:"verdict"`
	Because     string        `json:"because,omitempty"` // of undecided and skipped
	Problems    []string      `json:"problems,omitempty"`
	Line        string        `json:"line,omitempty"`
	Environment bool          `json:"environment,omitempty"` // undecided, because of the environment
	Repeat      string        `json:"repeat,omitempty"`      // command that repeats a run that did not pass
	Elapsed     time.Duration `json:"-"`
	Seconds     float64       `json:"seconds"`
}

// judge gives the verdict. Fail beats everything: what was found stays found,
// also if the stage was cut off afterwards.
func judge(r Result, err error) (verdict Verdict, because string, problems []string) {
	problems = r.Problems
	var short []string
	work := false
	for _, count := range r.Counts {
		switch {
		case count.Never && count.N > 0:
			problems = append(problems, fmt.Sprintf("%s: %d, and there must be none", count.Name, count.N))
		case !count.Never && count.N < max(count.Min, 1):
			short = append(short, fmt.Sprintf("%d %s, at least %d wanted", count.N, count.Name, max(count.Min, 1)))
		case !count.Never:
			work = true
		}
	}
	switch {
	case len(problems) > 0:
		return Fail, "", problems
	case err != nil:
		return Undecided, err.Error(), nil
	case r.Skipped:
		return Skipped, r.Because, nil
	case r.Undecided:
		return Undecided, r.Because, nil
	case len(short) > 0:
		return Undecided, strings.Join(short, "; "), nil
	case !work:
		return Undecided, "nothing was counted", nil
	}
	return Pass, "", nil
}

// A Report is the outcome of the gate.
type Report struct {
	Seed     uint64    `json:"seed"`
	Verdict  Verdict   `json:"verdict"`
	ExitCode int       `json:"exit_code"`
	Seconds  float64   `json:"seconds"`
	Stages   []Outcome `json:"stages"`
}

// conclude sums the stages up: fail beats environment, environment beats
// undecided. If every stage was skipped nothing is known.
func (r *Report) conclude() {
	count := make(map[Verdict]int)
	environment := false
	for _, outcome := range r.Stages {
		count[outcome.Verdict]++
		environment = environment || outcome.Environment
	}
	switch {
	case count[Fail] > 0:
		r.Verdict, r.ExitCode = Fail, ExitFail
	case environment:
		r.Verdict, r.ExitCode = Undecided, ExitEnvironment
	case count[Undecided] > 0:
		r.Verdict, r.ExitCode = Undecided, ExitUndecided
	case count[Pass] == 0:
		r.Verdict, r.ExitCode = Skipped, ExitUndecided
	default:
		r.Verdict, r.ExitCode = Pass, ExitPass
	}
}
