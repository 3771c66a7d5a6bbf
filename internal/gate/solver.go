package gate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/model/proof"
)

// A Solver is a program that decides formulas in SMT-LIB, or the one that is built in.
type Solver struct {
	Name string
	path string
	args []string // it reads standard input
	more []string // where a counterexample is wanted

	limit time.Duration // of a question; 0 is limit
}

// limit ends a question that takes a hundred times as long as it should, and limitWhole
// one that can be asked in parts.
const (
	limit      = 60 * time.Second
	limitWhole = 10 * time.Second
)

// InstallSolvers is how to get them.
const InstallSolvers = "apt-get install z3 cvc5"

// Solvers returns those that are installed, z3 and cvc5, and the one that is built in.
func Solvers() (all []Solver) {
	for _, s := range []Solver{
		{Name: "z3", args: []string{"-smt2", "-in"}},
		{Name: "cvc5", args: []string{"--lang=smt2", "--incremental", "--produce-models", "--full-saturate-quant"}, more: []string{"--finite-model-find"}},
	} {
		for _, name := range []string{s.Name, "/usr/bin/" + s.Name} { // the second for an environment without PATH
			if path, err := exec.LookPath(name); err == nil {
				s.path = path
				all = append(all, s)
				break
			}
		}
	}
	return append(all, builtIn)
}

// finder is the solver for what has a counterexample.
func (s Solver) finder() Solver {
	s.args = slices.Concat(s.args, s.more)
	return s
}

// Ask gives the solver a text and returns its lines, one at least. What it says of an
// error is one of them. The error is that of ctx, or says that the solver did not run.
func (s Solver) Ask(ctx context.Context, text string) (lines []string, err error) {
	err = s.run(ctx, text, func(line string) { lines = append(lines, line) })
	return lines, err
}

// run calls each with every line that the solver prints, as it comes. The last one is
// "timeout" if it was ended, since it had printed nothing for so long.
func (s Solver) run(ctx context.Context, text string, each func(line string)) error {
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	limit := cmp.Or(s.limit, limit)
	slow := time.AfterFunc(limit, cancel)
	defer slow.Stop()
	cmd := exec.CommandContext(limited, s.path, s.args...)
	out := lines{each: func(line string) {
		slow.Reset(limit)
		each(line)
	}}
	cmd.Stdin, cmd.Stdout = strings.NewReader(text), &out
	cmd.WaitDelay = time.Second // where it is a script, its child has the pipe, too
	err := cmd.Run()
	out.end()
	var exited *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", s.Name, ctx.Err())
	case limited.Err() != nil:
		each("timeout")
	case errors.As(err, &exited) && exited.Exited() && out.any: // both tell so that they said (error ...)
	case err != nil:
		return fmt.Errorf("%s: %w", s.Name, err)
	case !out.any:
		return fmt.Errorf("%s says nothing", s.Name)
	}
	return nil
}

// lines is a writer that calls each with every line, without its end.
type lines struct {
	each func(line string)
	any  bool
	rest string
}

func (l *lines) Write(text []byte) (int, error) {
	all := strings.Split(l.rest+string(text), "\n")
	l.rest = all[len(all)-1]
	for _, line := range all[:len(all)-1] {
		l.any = true
		l.each(line)
	}
	return len(text), nil
}

// end is for a last line that has no end.
func (l *lines) end() {
	if l.rest != "" {
		l.any = true
		l.each(l.rest)
	}
}

// Proved is what a solver makes of an obligation.
type Proved struct {
	proof.Obligation
	Solver  string  `json:"solver"`
	Answer  string  `json:"answer"` // unsat is the proof
	Seconds float64 `json:"seconds"`
}

// A process is asked so many questions, one after the other: to start one takes as long
// as most answers do. After each it says answered, and which it was: who passes one over
// has not answered the next one in its place.
const (
	together = 8
	answered = "answered "
)

// Prove gives the obligations to the solver, several at once, and returns the answers
// in their order. The first error ends the other questions.
func (s Solver) Prove(ctx context.Context, all []proof.Obligation, each func(Proved)) ([]Proved, error) {
	if s.isBuiltIn() {
		return s.proveHere(ctx, all, each)
	}
	var (
		mu      sync.Mutex
		answers = make([]Proved, len(all))
		size    = min(together, 1+len(all)/runtime.GOMAXPROCS(0))
	)
	return answers, onEveryCore(ctx, (len(all)+size-1)/size, func(ctx context.Context, i int) error {
		for next, end := i*size, min(len(all), (i+1)*size); next < end; {
			begin, answer, first := time.Now(), "", next
			tell := func() {
				answers[next] = Proved{all[next], s.Name, answer, time.Since(begin).Seconds()}
				mu.Lock()
				each(answers[next])
				mu.Unlock()
				begin, answer, next = time.Now(), "", next+1
			}
			var text strings.Builder
			for k, o := range all[next:end] {
				fmt.Fprintf(&text, "%s(echo \"%s%d\")\n(reset)\n", o.Text, answered, next+k)
			}
			err := s.run(ctx, text.String(), func(line string) {
				switch which, ok := strings.CutPrefix(strings.Trim(line, `"`), answered); {
				case !ok:
					answer = cmp.Or(answer, line)
				case which == strconv.Itoa(next) && next < end:
					tell()
				default:
					answer = line // of another question
				}
			})
			if err != nil {
				return err
			}
			if next < end && (answer != "" || next == first) { // it ended before; another one gets what is left
				tell()
			}
		}
		return nil
	})
}

// undecided says of an answer that it is none.
func undecided(answer string) bool { return answer == "unknown" || answer == "timeout" }

// Decide is Prove. What the solver does not decide as a whole it is asked clause by clause,
// and about a clause that it does not decide, for a counterexample: so an end comes in a
// known time. What has no answer then has the name of such a clause.
func (s Solver) Decide(ctx context.Context, all []proof.Obligation, each func(Proved)) ([]Proved, error) {
	whole := s
	whole.limit = limitWhole
	answers, err := whole.Prove(ctx, all, each)
	for i := 0; i < len(answers) && err == nil; i++ {
		if !undecided(answers[i].Answer) {
			continue
		}
		clauses := all[i : i+1] // Init, or a property, or of a mutant
		if th := proof.Find(answers[i].Theory); th != nil {
			if each, _ := th.Each(answers[i].Name); len(each) > 0 {
				clauses = each
			}
		}
		var parts []Proved
		if parts, err = s.Prove(ctx, clauses, each); err != nil {
			break
		}
		answers[i].Answer = "unsat"
		for _, p := range parts {
			if undecided(p.Answer) {
				shown, err := s.finder().Prove(ctx, []proof.Obligation{p.Obligation}, each)
				if err != nil {
					return nil, err
				}
				p = shown[0]
			}
			if p.Answer != "unsat" && answers[i].Answer != "sat" {
				answers[i].Name, answers[i].Answer = p.Name, p.Answer
			}
		}
	}
	return answers, err
}

// onEveryCore calls do with 0 to n-1, as many at a time as there are cores. The first
// error ends the context of the others, and is returned: that of ctx if it has one, since
// an interrupt from a terminal is the solver's, too.
func onEveryCore(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, each := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error {
			if err := each.Err(); err != nil {
				return err
			}
			return do(each, i)
		})
	}
	err := group.Wait()
	return cmp.Or(ctx.Err(), err)
}

// A Break is an action that does not keep a clause.
type Break struct {
	Action         string                `json:"action"`
	Clause         string                `json:"clause"`
	Says           string                `json:"says"`
	Counterexample *model.Counterexample `json:"counterexample,omitempty"`
	Unshown        string                `json:"unshown,omitempty"` // why there is none
}

// Breaks finds out which clauses are not kept where an action is not proved, and a
// smallest counterexample for the first of each action.
func (s Solver) Breaks(ctx context.Context, th *proof.Theory, open []Proved) (all []Break, err error) {
	for _, p := range open {
		questions, clauses := th.Each(p.Name)
		answers, err := s.Prove(ctx, questions, func(Proved) {})
		if err != nil {
			return nil, err
		}
		first := true
		for i, a := range answers {
			if a.Answer == "unsat" {
				continue
			}
			b := Break{Action: p.Name, Clause: clauses[i].Name, Says: clauses[i].Says}
			if first {
				if b.Counterexample, b.Unshown, err = s.show(ctx, th, p.Name, clauses[i]); err != nil {
					return nil, err
				}
				first = b.Counterexample == nil
			}
			all = append(all, b)
		}
	}
	return all, nil
}

// show asks for counterexamples of growing size.
func (s Solver) show(ctx context.Context, th *proof.Theory, action string, c proof.Clause) (*model.Counterexample, string, error) {
	if s.isBuiltIn() {
		return nil, "a counterexample is shown where a program is the solver: " + InstallSolvers, nil
	}
	unshown := "no counterexample of the sizes that a model has"
	a := th.Actions[slices.IndexFunc(th.Actions, func(a *proof.Action) bool { return a.String() == action })]
	for _, size := range proof.Sizes {
		for pid := range 2 {
			lines, err := s.finder().Ask(ctx, th.Counterexample(a, c, size, pid))
			if err != nil {
				return nil, "", err
			}
			if lines[0] != "sat" {
				continue
			}
			shown, err := th.Shown(a, c, pid, lines[1:])
			if err == nil {
				return shown, "", nil
			}
			unshown = err.Error()
		}
	}
	return nil, unshown, nil
}

// MustFail asks whether the proof fails as it must, or does not where it must not. It
// returns what is wrong.
func (s Solver) MustFail(ctx context.Context, f proof.MustFail) (wrong string, err error) {
	th, err := proof.Of(model.Find(f.Model))
	if err != nil {
		return "", err
	}
	questions, want, by := th.Only(f.Action, f.Clause), "sat", s.finder()
	if f.Action == "" {
		questions, want, by = th.Different(), "unsat", s
	}
	answers, err := by.Prove(ctx, questions, func(Proved) {})
	if err != nil {
		return "", err
	}
	for _, a := range answers {
		if a.Answer != want {
			wrong = fmt.Sprintf("%s: %s says %s of %s, not %s", f.Model, s.Name, a.Answer, a.Name, want)
		}
	}
	if len(answers) == 0 {
		wrong = f.Model + ": there is nothing to ask"
	}
	if want == "unsat" {
		is, err := s.finder().Prove(ctx, []proof.Obligation{th.Consistent()}, func(Proved) {})
		if err != nil || is[0].Answer != "sat" {
			return fmt.Sprintf("%s: what is assumed is not consistent: %s", f.Model, is[0].Answer), err
		}
	}
	return wrong, nil
}

// Uses finds out which questions are not proved without a clause: an action and the
// clause that it does not keep then, or a property. It is an error if the solver cannot
// tell of one.
func (s Solver) Uses(ctx context.Context, th *proof.Theory, clause string) (used []string, err error) {
	less := th.Without(clause)
	answers, err := s.Prove(ctx, less.Obligations(), func(Proved) {})
	if err != nil {
		return nil, err
	}
	for _, p := range answers {
		if p.Answer == "unsat" {
			continue
		}
		each, _ := less.Each(p.Name)
		if len(each) == 0 { // a property
			each = []proof.Obligation{p.Obligation}
		}
		broken, err := s.Prove(ctx, each, func(Proved) {})
		if err != nil {
			return nil, err
		}
		for _, b := range broken {
			switch b.Answer {
			case "sat":
				used = append(used, b.Name)
			case "unsat":
			default:
				return nil, fmt.Errorf("%s says %s of %s without %s", s.Name, b.Answer, b.Name, clause)
			}
		}
	}
	return used, nil
}
