package gate

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// A Verdict is one of five words.
type Verdict string

const (
	Pass        Verdict = "pass"
	Fail        Verdict = "fail"
	Environment Verdict = "environment" // could not be made: a full disk, a missing tree, wrong usage
	Undecided   Verdict = "undecided"   // not refuted, and not enough was done to say more; or interrupted
	Skipped     Verdict = "skipped"     // cannot be run here; of a run: something that belongs to it was not
)

// ExitCodes are those of the verdicts of a run.
var ExitCodes = map[Verdict]int{Pass: 0, Fail: 1, Environment: 2, Undecided: 3, Skipped: 4}

// An Outcome is a stage's result with its verdict.
type Outcome struct {
	Stage     string        `json:"stage"`
	Ran       string        `json:"ran"`
	Counts    []Count       `json:"counts"`
	Verdict   Verdict       `json:"verdict"`
	Because   string        `json:"because,omitempty"` // of environment, undecided and skipped
	Skips     []Skip        `json:"skips,omitempty"`   // parts that were not run
	Elsewhere bool          `json:"elsewhere,omitempty"`
	Problems  []string      `json:"problems,omitempty"`
	Line      string        `json:"line,omitempty"`
	Repeat    string        `json:"repeat,omitempty"` // command that repeats a run that did not pass
	Elapsed   time.Duration `json:"-"`
	Seconds   float64       `json:"seconds"`
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
			short = append(short, fmt.Sprintf("%d %s, at least %d expected", count.N, count.Name, max(count.Min, 1)))
		case !count.Never:
			work = true
		}
	}
	switch {
	case len(problems) > 0:
		return Fail, "", problems
	case errors.Is(err, errInterrupted):
		return Undecided, err.Error(), nil
	case err != nil:
		return Environment, err.Error(), nil
	case r.Skipped || r.Elsewhere:
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

// errInterrupted is the error of a stage that was cut off by the user.
var errInterrupted = errors.New("interrupted")

// space is what any stage may need in megabytes, as measured: traces and lifecycle
// need 19.
const space = 20

// explained makes one line of what a full disk made fail, which may have been
// many calls at once, and says how much there has to be.
func explained(err error, dir string) error {
	full := func(errno syscall.Errno) bool { // also of another process, which sent text
		return err != nil && (errors.Is(err, errno) || strings.Contains(err.Error(), errno.Error()))
	}
	if !full(syscall.ENOSPC) && !full(syscall.EDQUOT) {
		return err
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	place := "--dir, and " + dir
	if strings.Contains(first, tmpfs+"/") && !strings.HasPrefix(dir, tmpfs) {
		place = tmpfs + ", which"
	}
	return fmt.Errorf("needs about %d MB in %s has no more: %s", space, place, first)
}

// A Report is the outcome of the gate.
type Report struct {
	Seed     uint64    `json:"seed"`
	Verdict  Verdict   `json:"verdict"`
	ExitCode int       `json:"exit_code"`
	Seconds  float64   `json:"seconds"`
	Left     string    `json:"left,omitempty"` // why a scratch directory could not be removed
	Stages   []Outcome `json:"stages"`
}

// conclude sums the stages up: fail, environment, undecided, skipped, pass, the
// first of them that there is. If nothing passed nothing is known.
func (r *Report) conclude(allowSkips bool) {
	count := make(map[Verdict]int)
	for _, outcome := range r.Stages {
		switch {
		case outcome.Elsewhere:
		case outcome.Verdict == Pass && len(outcome.Skips) > 0:
			count[Pass]++
			count[Skipped]++
		default:
			count[outcome.Verdict]++
		}
	}
	switch {
	case count[Fail] > 0:
		r.Verdict = Fail
	case count[Environment] > 0:
		r.Verdict = Environment
	case count[Undecided] > 0:
		r.Verdict = Undecided
	case count[Pass] == 0, count[Skipped] > 0 && !allowSkips:
		r.Verdict = Skipped
	default:
		r.Verdict = Pass
	}
	r.ExitCode = ExitCodes[r.Verdict]
}
