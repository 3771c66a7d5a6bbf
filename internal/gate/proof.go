package gate

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/model/proof"
)

// What the stage counts at least.
const (
	minObligations   = 340
	minClauses       = 165
	minTheories      = 5 // of the protocol, in some model each
	minBridgeModels  = 26
	minBridgeStates  = 300_000
	minBridgeEdges   = 1_100_000
	minBridgeClauses = 9_000_000 // of states
	printedEdges     = 1000      // and as many that are none
)

var proofStage = Stage{"proof", "the protocol is safe for any number of processes: an invariant, proved by solvers, of formulas that are compared with the models", runProof}

// runProof compares the formulas of package proof with the models, state by state, and
// has what is to be proved of them proved by the solvers that are installed.
func runProof(ctx context.Context, env Env) (result Result, err error) {
	kinds := []string{"gate"}
	if env.Deep {
		kinds = model.Kinds
	}
	bridged, taken, err := bridge(ctx, env, kinds, &result)
	if err != nil {
		return result, err
	}
	theories, mustFails := part(env.Shard, proof.Theories()), part(env.Shard, proof.MustFails)
	solvers := Solvers()
	programs := len(solvers) - 1 // they read what is printed
	if programs == 0 {
		result.Skips = append(result.Skips, Skip{"the printed text of the proof", "neither z3 nor cvc5 is installed: " + InstallSolvers})
	}
	if !env.Deep {
		solvers = solvers[:1]
	}
	var (
		obligations                               []proof.Obligation
		clauses, arms, open, failing, able, asked int64
	)
	for _, th := range theories {
		obligations = append(obligations, th.Obligations()...)
		clauses += int64(len(th.Clauses))
		arms += int64(len(th.Actions) - len(th.Never))
	}
	for _, s := range solvers {
		env.Progress(s.Name)
		total := 0.0
		answers, err := s.Decide(ctx, obligations, func(p Proved) {
			env.Log.Debug("asked", "solver", s.Name, "theory", p.Theory, "of", p.Name, "answer", p.Answer, "seconds", p.Seconds)
			total += p.Seconds
		})
		if err != nil {
			return result, err
		}
		for _, p := range answers {
			if p.Answer != "unsat" {
				open++
				result.Problems = append(result.Problems, fmt.Sprintf("%s of %s is not proved: %s says %s; afterlock proof --theory %[2]s shows why", p.Name, p.Theory, p.Solver, p.Answer))
			}
		}
		result.Ran += fmt.Sprintf("%s: %d questions, %.1f s of it; ", s.Name, len(obligations), total)
		env.Progress("must-fail proofs")
		wrong := make([]string, len(mustFails))
		err = onEveryCore(ctx, len(wrong), func(ctx context.Context, i int) (err error) {
			wrong[i], err = s.MustFail(ctx, mustFails[i])
			return err
		})
		if err != nil {
			return result, err
		}
		for _, problem := range wrong {
			if problem == "" {
				failing++
			} else {
				result.Problems = append(result.Problems, problem)
			}
		}
		for _, th := range theories {
			of := taken[th.Name]
			if th.Name == "refinement" { // of the same models
				of = taken["ours"]
			}
			if env.Deep || env.Shard.N > 1 {
				of = nil // the solver finds out by itself
			}
			n, err := s.enabled(ctx, th, of, &result)
			if err != nil {
				return result, err
			}
			if able += n; !env.Deep || s.Name != solvers[0].Name {
				continue // one of them is enough: it takes longer than all else
			}
			env.Progress("what clauses are used for")
			if err := s.recorded(ctx, th, &result); err != nil {
				return result, err
			}
		}
		if s.isBuiltIn() {
			continue
		}
		samples, differences, err := printed(ctx, s)
		if err != nil {
			return result, err
		}
		if asked += int64(samples); differences > 0 {
			result.Problems = append(result.Problems, fmt.Sprintf("%s and the evaluator differ about %d possible steps", s.Name, differences))
		}
	}
	result.open()
	result.Ran += "every state of the models compared"
	if !env.Deep {
		result.Ran += "; not asked again: what each clause is used for"
	}
	by := len(solvers)
	result.Counts = slices.Concat(
		counted(env.Shard, "clauses", clauses, minClauses, len(theories)),
		counted(env.Shard, "proved", int64(len(obligations)*by)-open, int64(minObligations*by), len(obligations)*by),
		counted(env.Shard, "without a rule as they must be", failing, int64(len(mustFails)*by), len(mustFails)*by),
		counted(env.Shard, "actions that can be taken", able, arms*int64(by), int(arms)*by),
		bridged,
	)
	if by = min(by, programs); by > 0 {
		result.Counts = append(result.Counts, AtLeast("printed steps and others", asked, int64(2*printedEdges*by)))
	}
	return result, nil
}

// noAnswer is in what is said of a question that a solver does not decide.
var noAnswer = regexp.MustCompile(` says (unknown|timeout)\b`)

// open makes undecided what no more is wrong with.
func (r *Result) open() {
	var open []string
	r.Problems = slices.DeleteFunc(r.Problems, func(problem string) bool {
		if !noAnswer.MatchString(problem) {
			return false
		}
		open = append(open, problem)
		return true
	})
	if len(open) > 0 {
		r.Undecided, r.Because = true, strings.Join(open, "; ")
	}
}

// counted is a count of all, or of what falls to a shard: none if nothing does.
func counted(shard Shard, name string, n, all int64, its int) []Count {
	switch {
	case shard.N <= 1:
		return []Count{AtLeast(name, n, all)}
	case its > 0:
		return []Count{AtLeast(name, n, int64(its))}
	}
	return nil
}

// beside are models of the theories that are not of our processes alone.
var beside = []string{"HarmlessTable", "MixedOurCreatorsRefinement", "MixedTogetherCopies", "RepairedUpstream"}

// enabled counts the actions that can be taken where the invariant holds: those that a
// model of the theory has taken, and those that the solver says so of. Of those that never
// can be it has to say so, too.
func (s Solver) enabled(ctx context.Context, th *proof.Theory, taken map[string]bool, result *Result) (able int64, err error) {
	questions := slices.DeleteFunc(th.Enabled(), func(o proof.Obligation) bool { return taken[o.Name] && !slices.Contains(th.Never, o.Name) })
	able = int64(len(th.Actions) - len(questions))
	answers, err := s.finder().Prove(ctx, questions, func(Proved) {})
	if err != nil {
		return 0, err
	}
	for _, p := range answers {
		want := "sat"
		if slices.Contains(th.Never, p.Name) {
			want = "unsat"
		} else if p.Answer == want {
			able++
		}
		if p.Answer != want {
			result.Problems = append(result.Problems, fmt.Sprintf("whether %s of %s can be taken: %s says %s, not %s", p.Name, th.Name, s.Name, p.Answer, want))
		}
	}
	return able, nil
}

// recorded asks for what was recorded of a theory: what is not proved without a clause
// has to have a counterexample then, and without one that is used for nothing all has to
// be proved.
func (s Solver) recorded(ctx context.Context, th *proof.Theory, result *Result) error {
	all, err := proof.ReadRecorded()
	if err != nil {
		return err
	}
	for _, c := range th.Clauses {
		for want, questions := range th.Recorded(all[th.Name], c.Name) {
			by := s
			if want == "sat" {
				by = s.finder()
			}
			answers, err := by.Prove(ctx, questions, func(Proved) {})
			if err != nil {
				return err
			}
			for _, p := range answers {
				if p.Answer != want {
					result.Problems = append(result.Problems, fmt.Sprintf("%s of %s without %s: %s says %s, not %s", p.Name, th.Name, c.Name, s.Name, p.Answer, want))
				}
			}
		}
	}
	return nil
}

// bridge compares the formulas with the models of the kinds, and of every theory. It
// returns which actions the models of a theory have taken.
func bridge(ctx context.Context, env Env, kinds []string, result *Result) ([]Count, map[string]map[string]bool, error) {
	var (
		bridges []*proof.Bridge
		of      []*model.Model
	)
	for _, m := range part(env.Shard, model.Models()) {
		if m.Protocol == nil || !slices.Contains(kinds, m.Kind) && !slices.Contains(beside, m.Name) {
			continue
		}
		b, err := proof.NewBridge(m)
		if err != nil {
			env.Log.Debug("not compared", "model", m.Name, "because", err)
			continue
		}
		bridges, of = append(bridges, b), append(of, m)
	}
	err := onEveryCore(ctx, len(bridges), func(ctx context.Context, i int) error {
		i = len(bridges) - 1 - i // the large ones are at the end, and nobody waits for them so
		env.Progress(of[i].Name)
		return bridges[i].Explore(ctx, of[i])
	})
	if err != nil {
		return nil, nil, err
	}
	taken := map[string]map[string]bool{}
	var models, states, clauses, edges, differences int64
	for i, b := range bridges {
		name := of[i].Name
		if b.Theory != "" && taken[b.Theory] == nil {
			taken[b.Theory] = map[string]bool{}
		}
		for arm := range b.Taken {
			if b.Theory != "" {
				taken[b.Theory][arm] = true
			}
		}
		models, states, edges = models+1, states+int64(b.States), edges+int64(b.Edges)
		clauses, differences = clauses+int64(b.Clauses), differences+int64(len(b.Differences))
		for _, d := range b.Differences {
			result.Problems = append(result.Problems, name+": "+d)
		}
		env.Log.Debug("compared", "model", name, "states", b.States, "edges", b.Edges)
	}
	return slices.Concat(
		counted(env.Shard, "models compared", models, minBridgeModels, len(of)),
		counted(env.Shard, "theories that some model is of", int64(len(taken)), minTheories, min(1, len(of))),
		counted(env.Shard, "states", states, minBridgeStates, len(of)),
		counted(env.Shard, "edges", edges, minBridgeEdges, len(of)),
		counted(env.Shard, "clauses of states", clauses, minBridgeClauses, len(of)),
		[]Count{Never("differences", differences)},
	), taken, nil
}

// printed asks the solver about steps of a model, and about what is none.
func printed(ctx context.Context, s Solver) (asked, differences int, err error) {
	var texts []string // each with so many questions
	const many = 100   // cvc5 takes 4 s
	for _, name := range []string{"GateTogetherOwner", "GateMount"} {
		m := model.Find(name)
		g, err := m.Graph(ctx, model.Options{})
		if err != nil {
			return 0, 0, err
		}
		declarations, samples, err := proof.Samples(m, g, printedEdges/2)
		if err != nil {
			return 0, 0, err
		}
		asked += len(samples)
		for some := range slices.Chunk(samples, many) {
			text := declarations
			for _, sample := range some {
				text += sample.Text
			}
			texts = append(texts, text)
		}
	}
	wrong := make([]int, len(texts))
	err = onEveryCore(ctx, len(texts), func(ctx context.Context, i int) error {
		answers, err := s.finder().Ask(ctx, texts[i])
		for k := range many {
			if len(answers) != 2*many || answers[2*k] != "sat" || answers[2*k+1] != "unsat" {
				wrong[i]++
			}
		}
		return err
	})
	for _, n := range wrong {
		differences += n
	}
	return asked, differences, err
}
