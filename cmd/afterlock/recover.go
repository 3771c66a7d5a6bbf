package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/tempdir"
)

func newRecover() *cobra.Command {
	var (
		dryRun, asJSON bool
		graces         = graces{lockGrace, dataGrace}
	)
	cmd := &cobra.Command{
		Use:   "recover ROOT",
		Short: "Remove what crashed processes left in a root, or in all roots of a store",
		Long: `Recover removes stale instances and orphans: what processes that crashed or
failed have left. Live instances are skipped, foreign names never touched. It
takes no store lock, and can run at any time beside everything else.

ROOT is a root, or the graph root of containers/storage: then all its roots are
recovered. Beside processes of containers/storage as released, a lock file
without data that is younger than --lock-grace and data without a lock file that
is younger than --data-grace are left alone.

Exit codes: 0 done, 1 something could not be removed (with --dry-run: would be
refused), 2 usage or a root cannot be opened.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if graces.lock < 0 || graces.data < 0 {
				return errors.New("a grace must not be negative")
			}
			roots, err := findRoots(args[0])
			if err != nil {
				return err
			}
			var all []recovery
			failures := false
			for _, path := range roots {
				r, err := recoverRoot(cmd.Context(), path, graces, dryRun)
				if err != nil {
					return err
				}
				all = append(all, r)
				failures = failures || r.failed
			}
			if err := printRecoveries(cmd, all, asJSON); err != nil {
				return err
			}
			if failures {
				return failed()
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&dryRun, "dry-run", false, "say what would be done, and change nothing")
	flags.DurationVar(&graces.lock, "lock-grace", lockGrace, "leave younger lock files without data alone")
	flags.DurationVar(&graces.data, "data-grace", dataGrace, "leave younger data without a lock file alone")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type graces struct{ lock, data time.Duration }

// A recovery is what was done, or would be done, in one root.
type recovery struct {
	Root    string   `json:"root"`
	DryRun  bool     `json:"dry_run"`
	Results []result `json:"results"`
	Foreign []string `json:"foreign"`
	Error   string   `json:"error,omitempty"` // why it stopped early
	failed  bool
}

// A result is one line of recover.
type result struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"`
	Note    string `json:"note,omitempty"`
}

func recoverRoot(ctx context.Context, path string, graces graces, dryRun bool) (recovery, error) {
	root, err := openRoot(path, graces.lock, graces.data)
	if err != nil {
		return recovery{}, err
	}
	defer root.Close()
	r := recovery{Root: root.Path(), DryRun: dryRun, Results: []result{}, Foreign: []string{}}
	if dryRun {
		return r, r.foresee(ctx, root, graces)
	}
	report, err := root.Recover(ctx)
	if err != nil && len(report.Results) == 0 && ctx.Err() == nil {
		return r, err // the root could not be listed
	}
	for _, one := range report.Results {
		result := result{ID: one.ID, Outcome: one.Outcome.String()}
		if one.Adopted {
			result.Note = "it was an orphan"
		}
		if one.Outcome == tempdir.Young {
			result.Note = "left alone for now: see --lock-grace and --data-grace"
		}
		if one.Err != nil {
			result.Note = one.Err.Error()
		}
		r.Results = append(r.Results, result)
	}
	r.Foreign = append(r.Foreign, report.Foreign...)
	r.failed = err != nil
	if ctx.Err() != nil {
		r.Error = "interrupted; the next recovery goes on"
	}
	return r, nil
}

// foresee says what a recovery would do now.
func (r *recovery) foresee(ctx context.Context, root *tempdir.Root, graces graces) error {
	instances, err := root.Instances(ctx)
	if err != nil {
		return err
	}
	for _, instance := range instances {
		one := result{ID: instance.Name}
		old := time.Since(instance.Changed)
		switch instance.State {
		case tempdir.Foreign:
			r.Foreign = append(r.Foreign, instance.Name)
			continue
		case tempdir.Live:
			one.Outcome = tempdir.Skipped.String()
		case tempdir.Stale:
			one.Outcome = "would be recovered"
			if !instance.Data && old < graces.lock {
				one.Outcome, one.Note = tempdir.Young.String(), "until "+age(graces.lock)+" old"
			}
		case tempdir.Orphan:
			one.Outcome, one.Note = "would be recovered", "it is an orphan"
			if old < graces.data {
				one.Outcome, one.Note = tempdir.Young.String(), "an orphan, until "+age(graces.data)+" old"
			}
		default:
			one.Outcome, r.failed = "would fail", true
			if instance.Err != nil {
				one.Note = instance.Err.Error()
			}
		}
		r.Results = append(r.Results, one)
	}
	return nil
}

func printRecoveries(cmd *cobra.Command, all []recovery, asJSON bool) error {
	out := cmd.OutOrStdout()
	if asJSON {
		return printJSON(out, map[string]any{"roots": all})
	}
	for i, r := range all {
		if i > 0 {
			fmt.Fprintln(out)
		}
		if len(all) > 1 {
			fmt.Fprintf(out, "%s:\n", printable(r.Root))
		}
		rows := [][]string{{"ID", "OUTCOME", "NOTE"}}
		for _, one := range r.Results {
			rows = append(rows, []string{cell(one.ID), one.Outcome, noteCell(one.Note)})
		}
		for _, name := range r.Foreign {
			rows = append(rows, []string{cell(name), "foreign", "not ours, not touched"})
		}
		if err := printTable(out, rows); err != nil {
			return err
		}
		if r.Error != "" {
			fmt.Fprintln(cmd.ErrOrStderr(), "afterlock:", printable(r.Error))
		}
	}
	return nil
}

func noteCell(note string) string {
	if note == "" {
		return "-"
	}
	return printable(note)
}
