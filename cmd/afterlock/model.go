package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/spec"
)

// modelOptions are the flags of the command model.
type modelOptions struct {
	all, trace, asJSON bool
	dot                string
	workers            int
}

func newModel() *cobra.Command {
	var o modelOptions
	cmd := &cobra.Command{
		Use:   "model [NAME...]",
		Short: "Explore models of the specification, without Java",
		Long: `Model explores models of the specification and compares each with what TLC
recorded in spec/manifest.json: verdict, refuted property, states, depth, length
of the counterexample, and a digest of every state and every labelled edge. Where
one differs, its counterexample is printed.

Without names it lists the models.

Exit codes: 0 everything is as TLC recorded it, 1 something differs, 2 usage, 3
interrupted.`,
		Example: `  afterlock model UpstreamAsShipped --trace
  afterlock model Gate GateFallback
  afterlock model GateOrphan --dot orphan.dot
  afterlock model --all --json`,
		RunE: func(cmd *cobra.Command, names []string) error {
			rows, err := model.ParseManifest(spec.Manifest)
			if err != nil {
				return err
			}
			switch {
			case o.workers < 0:
				return errors.New("--workers must not be negative")
			case o.all && len(names) > 0:
				return errors.New("--all and names exclude each other")
			case o.dot != "" && len(names) != 1:
				return errors.New("--dot needs the name of one model")
			case !o.all && len(names) == 0:
				return listModels(cmd.OutOrStdout(), rows, o.asJSON)
			}
			for _, name := range names {
				if model.Find(name) == nil {
					return fmt.Errorf("no model %q; afterlock model lists them", name)
				}
				if !slices.ContainsFunc(rows, func(r model.Recorded) bool { return r.Model == name }) {
					rows = append(rows, model.Recorded{Model: name}) // a new one
				}
			}
			if o.all {
				return checkModels(cmd, rows, o)
			}
			return checkModels(cmd, slices.DeleteFunc(rows, func(r model.Recorded) bool { return !slices.Contains(names, r.Model) }), o)
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, m := range model.Models() {
				names = append(names, m.Name+"\t"+m.Purpose)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.all, "all", false, "explore every model")
	flags.BoolVar(&o.trace, "trace", false, "print the counterexamples: a column for each process, one for the disk")
	flags.StringVar(&o.dot, "dot", "", "write the state graph of one model to this `file`, for Graphviz")
	flags.BoolVar(&o.asJSON, "json", false, "print the reports as JSON")
	flags.IntVar(&o.workers, "workers", 0, "`number` of goroutines (default: one for each processor); changes nothing but the time")
	return cmd
}

func listModels(out io.Writer, rows []model.Recorded, asJSON bool) error {
	if asJSON {
		return printJSON(out, rows)
	}
	table := [][]string{{"MODEL", "KIND", "STATES", "PURPOSE"}}
	for _, r := range rows {
		table = append(table, []string{r.Model, r.Kind, fmt.Sprint(r.Distinct), r.Purpose})
	}
	return printTable(out, table)
}

// A modelReport is a report and where it differs from TLC's record.
type modelReport struct {
	*model.Report
	Seconds     float64  `json:"seconds"`
	Differences []string `json:"differences,omitempty"`
}

func checkModels(cmd *cobra.Command, rows []model.Recorded, o modelOptions) error {
	var reports []modelReport
	differs := false
	for _, row := range rows {
		m := model.Find(row.Model)
		if m == nil {
			return fmt.Errorf("package model does not have %s", row.Model)
		}
		begin := time.Now()
		report, err := m.Check(cmd.Context(), model.Options{Workers: o.workers}, row.Digest != nil)
		if err != nil {
			return err
		}
		r := modelReport{report, time.Since(begin).Seconds(), row.Differences(report)}
		if row.Verdict == "" {
			r.Differences = []string{"TLC has not seen it yet: scripts/tlc --record " + row.Model}
		}
		differs = differs || len(r.Differences) > 0
		if !o.trace && len(r.Differences) == 0 {
			r.Counterexample = nil
		}
		reports = append(reports, r)
	}
	if o.dot != "" {
		if err := writeDOT(cmd, model.Find(rows[0].Model), o); err != nil {
			return err
		}
	}
	out := cmd.OutOrStdout()
	var err error
	if o.asJSON {
		err = printJSON(out, reports)
	} else {
		err = writeReports(out, reports)
	}
	if err == nil && differs {
		err = failed()
	}
	return err
}

func writeReports(out io.Writer, reports []modelReport) error {
	table := [][]string{{"MODEL", "VERDICT", "STATES", "GENERATED", "DEPTH", "DIGEST", "SECONDS", "TLC"}}
	for _, r := range reports {
		verdict, digest, same := r.Verdict, "-", "same"
		if r.Property != "" {
			verdict = fmt.Sprintf("%s in %d", r.Property, r.Length)
		}
		if r.Digest != nil {
			digest = r.Digest.States[:8] + " " + r.Digest.Edges[:8]
		}
		if len(r.Differences) > 0 {
			same = "differs"
		}
		table = append(table, []string{r.Model, verdict, fmt.Sprint(r.Distinct), fmt.Sprint(r.Generated),
			fmt.Sprint(r.Depth), digest, fmt.Sprintf("%.3f", r.Seconds), same})
	}
	if err := printTable(out, table); err != nil {
		return err
	}
	for _, r := range reports {
		for _, line := range r.Differences {
			fmt.Fprintf(out, "%s: %s\n", r.Model, line)
		}
		if r.Counterexample == nil {
			continue
		}
		fmt.Fprintf(out, "\n%s: %s is refuted\n", r.Model, r.Property)
		if _, err := r.Counterexample.WriteTo(out); err != nil {
			return err
		}
	}
	return nil
}

// writeDOT writes the graph to a new file, or to standard output for "-".
func writeDOT(cmd *cobra.Command, m *model.Model, o modelOptions) error {
	g, err := m.Graph(cmd.Context(), model.Options{Workers: o.workers})
	if err != nil {
		return err
	}
	if o.dot == "-" {
		return g.WriteDOT(cmd.OutOrStdout())
	}
	var b strings.Builder
	if err := g.WriteDOT(&b); err != nil {
		return err
	}
	return os.WriteFile(o.dot, []byte(b.String()), 0o644)
}
