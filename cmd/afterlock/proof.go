package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/internal/gate"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/model/proof"
)

func newProof() *cobra.Command {
	var (
		theory, clause, mutant, smt, solver, record string
		asJSON                                      bool
	)
	cmd := &cobra.Command{
		Use:   "proof",
		Short: "Prove the protocol safe for any number of processes",
		Long: `Proof gives a solver what is to be proved of the protocol: the first state has the
invariant, each action keeps it, and each property follows from it. Each line is one
question; unsat is the proof.

With --mutant NAME, a model of the specification that swaps an action for a mutant or
has another kind of lock, it asks what is not the same then. It says which action breaks
which clause, with a state in which all clauses hold and the step after which one does
not: found by the solver, and taken by the model.

The solver is z3 or cvc5 (` + gate.InstallSolvers + `), and where neither is
installed, or with --solver go, one that is built in, which shows no states.

Exit codes: 0 all is proved, 1 something is not, 2 usage, 3 interrupted.`,
		Example: `  afterlock proof
  afterlock proof --theory powerloss
  afterlock proof --clause ActingIsNamed
  afterlock proof --mutant Rule2Recoverer
  afterlock proof --smt DIRECTORY`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			th := proof.Find(theory)
			if th == nil {
				return fmt.Errorf("no theory %q; there are: %s", theory, theories())
			}
			if mutant != "" {
				m := model.Find(mutant)
				if m == nil {
					return fmt.Errorf("no model %q; afterlock model lists them", mutant)
				}
				var err error
				if th, err = proof.Of(m); err != nil {
					return err
				}
			}
			all := th.Obligations()
			if mutant != "" {
				all = th.Different()
			}
			if clause != "" {
				if all = th.Alone(clause); len(all) == 0 {
					return fmt.Errorf("no clause %q; there are: %s", clause, strings.Join(th.Names(), ", "))
				}
			}
			if smt != "" {
				return writeObligations(smt, all)
			}
			solvers := gate.Solvers()
			if solver != "" {
				solvers = slices.DeleteFunc(solvers, func(s gate.Solver) bool { return s.Name != solver })
			}
			if len(solvers) == 0 {
				return errors.New("there is no such solver; " + gate.InstallSolvers)
			}
			if record != "" {
				return recordUses(cmd, th, solvers[0], record)
			}
			answers, err := solvers[0].Decide(cmd.Context(), all, func(gate.Proved) {})
			if err != nil {
				return err
			}
			return writeProof(cmd, th, solvers[0], answers, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&theory, "theory", "ours", "")
	flags.StringVar(&clause, "clause", "", "only this `clause` of the invariant: one question for each action")
	flags.StringVar(&mutant, "mutant", "", "the proof of this `model`, which has a mutant in place of an action")
	flags.StringVar(&smt, "smt", "", "write the questions to this `directory`, and ask nobody")
	flags.StringVar(&record, "record", "", "find out what the solver proves of the theory, and what each clause is used for, and write it to this `file`: "+proof.RecordFile+" of a checkout")
	flags.StringVar(&solver, "solver", "", "`z3`, cvc5 or go (default: the first of them that there is)")
	flags.BoolVar(&asJSON, "json", false, "print the answers as JSON")
	cmd.MarkFlagsMutuallyExclusive("theory", "mutant") // a model is of one theory
	for _, other := range []string{"clause", "mutant", "smt", "json"} {
		cmd.MarkFlagsMutuallyExclusive("record", other)
	}
	help := cmd.HelpFunc()
	cmd.SetHelpFunc(func(c *cobra.Command, args []string) { // only now: to build them takes half of the start of a command
		flags.Lookup("theory").Usage = "what is proved: " + theories()
		help(c, args)
	})
	return cmd
}

// theories is a line with the names and what they are about.
func theories() string {
	var all []string
	for _, th := range proof.Theories() {
		all = append(all, th.Name+" ("+th.Says+")")
	}
	return strings.Join(all, ", ")
}

func writeObligations(dir string, all []proof.Obligation) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, o := range all {
		name := strings.NewReplacer("/", "-", " ", "-").Replace(o.Name) + ".smt2"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(o.Text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// recordUses asks what is proved of the theory, and what is not without each clause, and
// writes both to the file, which keeps what it has of others, and of this one if it is not
// stale. It takes some minutes.
func recordUses(cmd *cobra.Command, th *proof.Theory, s gate.Solver, file string) error {
	all := map[string]proof.Recorded{}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r := all[th.Name]
	if r.Questions != th.Hash() {
		r = proof.Recorded{Questions: th.Hash(), Solver: s.Name, Used: map[string][]string{}}
	}
	write := func() error {
		all[th.Name] = r
		text, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return err
		}
		return os.WriteFile(file, append(text, '\n'), 0o644)
	}
	answers, err := s.Decide(cmd.Context(), th.Obligations(), func(gate.Proved) {})
	if err != nil {
		return err
	}
	if r.Proved == nil {
		r.Proved = map[string]int{}
	}
	r.Proved[s.Name] = len(slices.DeleteFunc(answers, func(p gate.Proved) bool { return p.Answer != "unsat" }))
	fmt.Fprintln(cmd.ErrOrStderr(), "proved by", s.Name+":", r.Proved[s.Name])
	if err := write(); err != nil {
		return err
	}
	for _, c := range th.Clauses {
		if _, known := r.Used[c.Name]; known { // somebody was interrupted
			continue
		}
		if r.Used[c.Name], err = s.Uses(cmd.Context(), th, c.Name); err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), c.Name+":", strings.Join(r.Used[c.Name], ", "))
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

func writeProof(cmd *cobra.Command, th *proof.Theory, s gate.Solver, answers []gate.Proved, asJSON bool) error {
	open := slices.DeleteFunc(slices.Clone(answers), func(p gate.Proved) bool { return p.Answer == "unsat" })
	breaks, err := s.Breaks(cmd.Context(), th, open)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if asJSON {
		err = printJSON(out, map[string]any{"theory": th.Name, "questions": answers, "breaks": breaks})
	} else {
		table := [][]string{{"QUESTION", "ANSWER", "SECONDS"}}
		for _, p := range answers {
			table = append(table, []string{p.Name, p.Answer, fmt.Sprintf("%.2f", p.Seconds)})
		}
		err = printTable(out, table)
		for _, b := range breaks {
			fmt.Fprintf(out, "\n%s does not keep %s: %s\n", b.Action, b.Clause, b.Says)
			if b.Counterexample != nil && err == nil {
				_, err = b.Counterexample.WriteTo(out)
			} else if b.Unshown != "" {
				fmt.Fprintln(out, b.Unshown)
			}
		}
	}
	if err == nil && len(open) > 0 {
		err = failed()
	}
	return err
}
