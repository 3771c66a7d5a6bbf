package gate

import (
	"cmp"
	"context"
	"sync"
	"time"

	gophersat "github.com/crillab/gophersat/solver"

	"github.com/afterlock/afterlock/model/proof"
)

// builtIn is the solver that is always there: it is no program, and reads no text.
var builtIn = Solver{Name: "go"}

func (s Solver) isBuiltIn() bool { return s.path == "" }

// proveHere is Prove by the solver that is built in. A search cannot be stopped: one that takes
// longer than its limit goes on, and those after it wait, and have no answer either.
func (s Solver) proveHere(ctx context.Context, all []proof.Obligation, each func(Proved)) ([]Proved, error) {
	var mu sync.Mutex
	answers := make([]Proved, len(all))
	return answers, onEveryCore(ctx, len(all), func(ctx context.Context, i int) error {
		begin, answer := time.Now(), make(chan string, 1)
		go func() { answer <- ground(all[i]) }()
		answers[i] = Proved{all[i], s.Name, "timeout", 0}
		select {
		case answers[i].Answer = <-answer:
		case <-time.After(cmp.Or(s.limit, limit)):
		case <-ctx.Done():
			return ctx.Err()
		}
		answers[i].Seconds = time.Since(begin).Seconds()
		mu.Lock()
		defer mu.Unlock()
		each(answers[i])
		return nil
	})
}

// searching is held by who solves: gophersat has one buffer for all solvers, and
// panicked where two used it.
var searching sync.Mutex

// ground is sat only if all that holds for all was said of each term: else nothing is known.
func ground(o proof.Obligation) string {
	clauses, exact := o.Ground()
	searching.Lock()
	defer searching.Unlock()
	switch status := gophersat.New(gophersat.ParseSlice(clauses)).Solve(); {
	case status == gophersat.Unsat:
		return "unsat"
	case status == gophersat.Sat && exact:
		return "sat"
	}
	return "unknown"
}
