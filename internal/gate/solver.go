package gate

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/afterlock/afterlock/model/proof"
)

// A Solver is a program that decides formulas in SMT-LIB.
type Solver struct {
	Name string
	path string
	args []string // it reads standard input
}

// limit ends a question that takes a hundred times as long as it should.
const limit = 60 * time.Second

// InstallSolvers is how to get them.
const InstallSolvers = "apt-get install z3 cvc5"

// Solvers returns those that are installed: z3, cvc5.
func Solvers() (all []Solver) {
	for _, s := range []Solver{
		{Name: "z3", args: []string{"-smt2", "-in"}},
		{Name: "cvc5", args: []string{"--lang=smt2", "--incremental", "--produce-models", "--full-saturate-quant", "-"}},
	} {
		for _, name := range []string{s.Name, "/usr/bin/" + s.Name} { // the second for an environment without PATH
			if path, err := exec.LookPath(name); err == nil {
				s.path = path
				all = append(all, s)
				break
			}
		}
	}
	return all
}

// Ask gives the solver a text and returns its lines. What it says of an error is one
// of them.
func (s Solver) Ask(ctx context.Context, text string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.path, s.args...)
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var exited *exec.ExitError
	if errors.As(err, &exited) && len(out) > 0 && ctx.Err() == nil {
		err = nil // both tell so that they said (error ...)
	}
	if ctx.Err() == context.DeadlineExceeded {
		return []string{"timeout"}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return lines, nil
}

// Proved is what a solver makes of an obligation.
type Proved struct {
	proof.Obligation
	Solver  string  `json:"solver"`
	Answer  string  `json:"answer"` // unsat is the proof
	Seconds float64 `json:"seconds"`
}

// Prove gives the obligations to the solver, several at once, and returns the answers
// in their order.
func (s Solver) Prove(ctx context.Context, all []proof.Obligation, each func(Proved)) ([]Proved, error) {
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		answers = make([]Proved, len(all))
		errs    []error
		todo    = make(chan int)
	)
	for range runtime.NumCPU() {
		group.Go(func() {
			for i := range todo {
				begin := time.Now()
				lines, err := s.Ask(ctx, all[i].Text)
				mu.Lock()
				if err == nil {
					answers[i] = Proved{all[i], s.Name, lines[0], time.Since(begin).Seconds()}
					each(answers[i])
				}
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	for i := range all {
		todo <- i
	}
	close(todo)
	group.Wait()
	return answers, errors.Join(append(errs, ctx.Err())...)
}
