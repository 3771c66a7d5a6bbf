package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/internal/bench/mutant"
)

func newMutants() *cobra.Command {
	var (
		run, file, work, old string
		names                []string
		kills, sample, procs int
		past                 int
		full, only, asJSON   bool
	)
	cmd := &cobra.Command{
		Use:   "mutants",
		Short: "Try mutants of the source, and say which check kills which",
		Long: `Mutants changes the source of this repository in small ways, and wants a detector
to fail because of each: tests of a package, or a part of a stage of the gate. It
needs a checkout, in which it runs, and the Go toolchain; the checkout is not
changed. All mutants are in one build of each program, chosen by name at its
start; a detector runs only the parts of it that execute what is changed, those
that take five seconds of a processor together when nothing is wrong.

Mutants of the catalogue name the detector that must meet them, and its message.
Others are enumerated by rule, and counted apart; those that do not compile are no
mutants. Mutants of the specification are the models that a property must refute,
called "model NAME". What killed a mutant in the committed matrix is tried first,
and nothing more if it still does. --full tries every detector, and --only-kills as
many as it takes to know of each detector one mutant that it alone kills: one counts
when all others were tried. A run that was interrupted goes on with the result file
that it left.

Limits are of processor time, and of a clock that goes slower while others want
the processors, too. A mutant is undecided if nothing killed it and a detector
timed out, or failed with another message than the catalogue's; not reached if
no part of any detector executes it. A panic is a kill.

Exit codes: 0 every mutant is killed by the detector that must, or equivalent;
1 not every one; 2 usage or environment; 3 some are undecided, and no other one is
amiss.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := checkout()
			if err != nil {
				return err
			}
			chosen, err := regexp.Compile(run)
			if err != nil {
				return err
			}
			o := mutant.Options{
				Chosen: func(m *mutant.Mutant) bool { return chosen.MatchString(m.Name) }, Workers: procs, Kills: kills,
				Log: func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), text) },
			}
			for _, name := range names {
				d, err := mutant.FindDetector(name)
				if err != nil {
					return err
				}
				o.Detectors = append(o.Detectors, d)
			}
			m := &mutant.Matrix{Sample: sample, Past: past}
			if old == "" {
				old = filepath.Join(root, mutant.MatrixPath)
			}
			before, err := mutant.ReadMatrix(old)
			switch {
			case err != nil && !errors.Is(err, os.ErrNotExist):
				return err
			case err == nil && !cmd.Flags().Changed("sample"):
				m.Sample = before.Sample
			}
			if o.Before = before; full {
				if o.Before = nil; !cmd.Flags().Changed("kills") {
					o.Kills = 0
				}
			}
			found := map[string]bool{"": true} // detectors with an only kill
			var mu sync.Mutex
			if only {
				o.Kills = 2
				o.Chosen = func(m *mutant.Mutant) bool {
					mu.Lock()
					defer mu.Unlock()
					return chosen.MatchString(m.Name) && !found[before.KilledBy(m)]
				}
			}
			if work == "" {
				cache, err := os.UserCacheDir()
				if err != nil {
					return err
				}
				work = filepath.Join(cache, "afterlock-mutants")
			}
			source, err := mutant.Open(cmd.Context(), root, work, m.Sample, past)
			if err != nil {
				return err
			}
			if earlier, err := mutant.ReadMatrix(file); file != "" && err == nil && earlier.Source == source.Digest && earlier.Sample == m.Sample && earlier.Past == past {
				m = earlier
			}
			o.Finished = func(m *mutant.Matrix, r *mutant.Row) error {
				mu.Lock()
				found[r.Only()] = true
				mu.Unlock()
				fmt.Fprintln(cmd.ErrOrStderr(), rowText(r))
				if file == "" {
					return nil
				}
				return m.Write(file)
			}
			if err := source.Try(cmd.Context(), m, o); err != nil {
				return err
			}
			if file != "" {
				if err := m.Write(file); err != nil {
					return err
				}
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), m)
			} else {
				err = writeMatrix(cmd.OutOrStdout(), m)
			}
			if err != nil {
				return err
			}
			bad := unmet(m)
			undecided := func(r *mutant.Row) bool { return r.Verdict() == mutant.Undecided }
			return judged(slices.ContainsFunc(bad, func(r *mutant.Row) bool { return !undecided(r) }), len(bad) > 0)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&run, "run", "", "only mutants whose name matches `REGEXP`")
	flags.StringArrayVar(&names, "detector", nil, "only this `detector`; may be repeated; ./PACKAGE is one, too")
	flags.IntVar(&kills, "kills", 1, "`number` of detectors that have to kill a mutant before no other one is tried")
	flags.IntVar(&sample, "sample", 240, "about this `number` of the enumerated mutants, chosen by a hash of their names; 0: all")
	flags.IntVar(&past, "past", 0, "without the enumerated mutants that --sample `number` chooses: others than those that the checks were mended by")
	flags.IntVar(&procs, "workers", runtime.NumCPU(), "`number` of mutants at a time")
	flags.BoolVar(&full, "full", false, "try every detector on every mutant, or --kills of them")
	flags.BoolVar(&only, "only-kills", false, "for each detector, try mutants that it has killed until no other one kills one")
	flags.StringVar(&old, "before", "", "`file` with a matrix, whose killers are tried first (default: the committed one)")
	flags.StringVar(&file, "result", "", "`file` to write the matrix to, and to go on with")
	flags.StringVar(&work, "work", "", "`directory` for programs (default: in the user's cache)")
	flags.BoolVar(&asJSON, "json", false, "print the matrix as JSON")
	return cmd
}

// checkout is the root of the module that the working directory is in.
func checkout() (string, error) {
	output, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}} {{.Path}}").Output()
	root, path, _ := strings.Cut(strings.TrimSpace(string(output)), " ")
	if err != nil || path != "github.com/afterlock/afterlock" {
		return "", errors.New("mutants needs a checkout of afterlock as working directory, and the Go toolchain")
	}
	return root, nil
}

// rowText says in a line what became of a mutant.
func rowText(r *mutant.Row) string {
	text := r.Verdict()
	if text == mutant.NotMet {
		text += " by " + r.Expected
	}
	text += "  " + r.Mutant
	if r.Change != "" {
		text += ", " + r.Change
	}
	if because := r.Error + r.Equivalent; because != "" {
		text += ": " + because
	}
	var all []string
	for _, run := range r.Killers() {
		all = append(all, fmt.Sprintf("%s %s (%.1f s)", run.Detector, run.Part, run.Seconds))
	}
	if len(all) > 0 {
		text += ", killed by " + strings.Join(all, ", ")
	}
	for _, run := range r.Runs {
		if !slices.Contains([]string{mutant.Killed, mutant.NotReached, mutant.Survived}, run.Verdict) {
			text += fmt.Sprintf("; %s: %s", run.Detector, run.Verdict)
		}
		for _, test := range run.Skipped {
			text += "; not run: " + test
		}
		if run.Left > 0 {
			text += fmt.Sprintf("; %d parts of %s had no turn", run.Left, run.Detector)
		}
	}
	return text
}

// unmet are the mutants that make the command fail.
func unmet(m *mutant.Matrix) (all []*mutant.Row) {
	for _, r := range m.Rows {
		if v := r.Verdict(); v != mutant.Killed && v != mutant.Equivalent {
			all = append(all, r)
		}
	}
	return all
}

func writeMatrix(out io.Writer, m *mutant.Matrix) error {
	type counts struct {
		tried, kills, only, reached int
		such                        string
	}
	detectors := map[string]*counts{}
	var order []string
	count := map[bool]map[string]int{false: {}, true: {}} // of verdicts, by whether enumerated
	earlier := 0
	for _, r := range m.Rows {
		if r.Commit != "" {
			earlier++
		}
		count[r.Enumerated][r.Verdict()]++
		for _, run := range r.Runs {
			d := detectors[run.Detector]
			if d == nil {
				d = &counts{}
				detectors[run.Detector] = d
				order = append(order, run.Detector)
			}
			d.tried++
			if run.Verdict != mutant.NotReached {
				d.reached++
			}
			if run.Verdict == mutant.Killed {
				d.kills++
			}
			if r.Only() == run.Detector {
				d.only++
				d.such = cmp.Or(d.such, "  "+r.Mutant)
			}
		}
	}
	bad := unmet(m)
	for _, r := range bad {
		fmt.Fprintln(out, printable(rowText(r)))
	}
	for _, r := range m.Rows {
		if r.Equivalent != "" && !slices.Contains(bad, r) {
			fmt.Fprintln(out, printable(rowText(r)))
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "detector\tmutants\treached\tkilled\tonly killer\t  for instance")
	slices.SortStableFunc(order, func(a, b string) int { return cmp.Compare(detectors[b].kills, detectors[a].kills) })
	for _, name := range order {
		d := detectors[name]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\n", name, d.tried, d.reached, d.kills, d.only, d.such)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, enumerated := range []bool{false, true} {
		kind, c := "named", count[enumerated]
		if enumerated {
			kind = fmt.Sprintf("enumerated (%d of %d by the rules, %d more do not compile)", m.Sampled-m.Unbuilt, m.Enumerated, m.Unbuilt)
		}
		var parts []string
		for _, verdict := range []string{mutant.Killed, mutant.Equivalent, mutant.Survived, mutant.Undecided, mutant.NotReached, mutant.NotMet, mutant.NotEquivalent, mutant.NotTried} {
			if c[verdict] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", c[verdict], verdict))
			}
		}
		fmt.Fprintf(out, "%s: %s\n", kind, strings.Join(parts, ", "))
	}
	if earlier > 0 {
		fmt.Fprintf(out, "%d of them at an earlier commit\n", earlier)
	}
	_, err := fmt.Fprintf(out, "%.0f s of detectors, load up to %.1f, commit %s\n", m.Took(), m.Load, m.Commit)
	return err
}
