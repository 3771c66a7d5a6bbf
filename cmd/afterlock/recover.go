package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/tempdir"
)

func newRecover() *cobra.Command {
	var (
		r      recoverer
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "recover ROOT...",
		Short: "Remove what crashed processes left in a root, or in all roots of a store",
		Long: `Recover removes stale instances and orphans: what processes that crashed or
failed have left. Live instances are skipped, foreign names never touched. It
takes no store lock, and can run at any time beside everything else.

ROOT is a root, or a store with any number of roots (see "afterlock ls --help"):
all of them are recovered. An image store of a graph root is a ROOT of its own.
Partial pulls in overlay/staging are left to containers/storage: the lock of such
a directory is made after it, so that nobody else can tell a dead pull from a new
one. What lies on a read-only file system cannot be recovered; the others go on.

Data without a lock file, an orphan, is left alone until it is --orphan-grace old:
a cleaner of temporary files may have taken the lock file of a live instance.
Beside processes of containers/storage as released, a lock file without data that
is younger than --lock-grace is left alone as well.

Outcomes: live, recovered, young (see the graces), vanished (somebody else did
it), denied (another user's: not for us to open), unfinished (--max-time ended
first), failed. On a terminal, standard error shows how many files are removed.

Exit codes: 0 done, or as much as --max-time allows, 1 something could not be removed (with --dry-run: would be
refused), 2 usage or a root cannot be opened; the others are recovered.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.lockGrace < 0 || r.orphanGrace < 0 {
				return errNegative
			}
			if r.maxTime < 0 || r.parallel < 1 {
				return errors.New("--max-time must not be negative, and --parallel must be 1 or more")
			}
			end, err := r.effort.begin(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			begun := time.Now()
			c := newChapters(args)
			var all []recovery
			failures := false
			c.each(func(root string) error {
				one, err := r.recover(cmd.Context(), root, r.maxTime-time.Since(begun))
				if err == nil {
					all = append(all, one)
					failures = failures || one.failed
				}
				return err
			})
			end()
			err = c.end(cmd, map[string]any{"roots": orEmpty(all)}, asJSON, func(out io.Writer) error {
				return printRecoveries(cmd, c, all)
			})
			if err == nil && failures {
				err = failed()
			}
			return err
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&r.dryRun, "dry-run", false, "say what would be done, and change nothing")
	flags.DurationVar(&r.lockGrace, "lock-grace", lockGrace, "leave younger lock files without data alone")
	flags.DurationVar(&r.orphanGrace, "orphan-grace", orphanGrace, "leave younger data without a lock file alone")
	flags.BoolVar(&r.clearFlags, "clear-flags", false, "clear immutable and append-only flags that are in the way")
	flags.BoolVar(&r.detachMounts, "detach-mounts", false, "detach mounts found inside stale instances, without touching what is mounted")
	flags.BoolVar(&r.allowOthers, "allow-others", false, "recover a root too that every user may write")
	flags.DurationVar(&r.maxTime, "max-time", 0, "stop after this time, and leave what is left to the next recovery; 0: no bound")
	flags.IntVar(&r.parallel, "parallel", 1, "recover up to `n` instances of a root at the same time")
	r.effort.flags(cmd)
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A recoverer is what recover was asked for.
type recoverer struct {
	lockGrace, orphanGrace time.Duration
	dryRun                 bool
	clearFlags             bool
	detachMounts           bool
	allowOthers            bool
	maxTime                time.Duration
	parallel               int
	effort                 effort
}

// options are those for a root, in which that much of the time is left.
func (r *recoverer) options(left time.Duration) []tempdir.Option {
	options := append(flagOptions(r.clearFlags), r.effort.options...)
	options = append(options, tempdir.Parallel(r.parallel))
	if r.maxTime > 0 {
		options = append(options, tempdir.Slice(0, max(left, 1)))
	}
	if r.detachMounts {
		options = append(options, tempdir.DetachMounts())
	}
	if r.allowOthers {
		options = append(options, tempdir.AllowOthers())
	}
	return options
}

// A recovery is what was done, or would be done, in one root.
type recovery struct {
	Root      string    `json:"root"`
	RootBytes []byte    `json:"root_bytes,omitempty"`
	DryRun    bool      `json:"dry_run"`
	Results   []result  `json:"results"`
	Foreign   []foreign `json:"foreign"`
	More      bool      `json:"more"`            // is left, because --max-time ended first or it was interrupted
	Error     string    `json:"error,omitempty"` // why it stopped early
	failed    bool
}

// A result is one line of recover.
type result struct {
	ID      string `json:"id"`
	Outcome string `json:"outcome"`
	Note    string `json:"note,omitempty"`
	Names   int64  `json:"names,omitempty"` // that were removed
}

// A foreign is a name in a root that is not ours.
type foreign struct {
	Name  string `json:"name"`
	Bytes []byte `json:"name_bytes,omitempty"`
}

func (r *recoverer) recover(ctx context.Context, path string, left time.Duration) (recovery, error) {
	root, err := openRoot(path, r.lockGrace, r.orphanGrace, r.options(left)...)
	if err != nil {
		return recovery{}, err
	}
	defer root.Close()
	out := recovery{Root: root.Path(), RootBytes: bytesOf(root.Path()), DryRun: r.dryRun, Results: []result{}, Foreign: []foreign{}}
	if r.dryRun {
		return out, out.foresee(ctx, root, r)
	}
	report, err := root.Recover(ctx)
	out.More = report.More
	if err != nil && len(report.Results) == 0 && ctx.Err() == nil {
		return out, err // the root could not be listed
	}
	for _, one := range report.Results {
		result := result{ID: one.ID, Outcome: one.Outcome.String(), Names: one.Names}
		if one.Adopted {
			result.Note = "it was an orphan"
		}
		switch one.Outcome {
		case tempdir.Young:
			result.Note = "left alone for now: see --orphan-grace and --lock-grace"
		case tempdir.Denied:
			result.Note = deniedNote
		}
		if one.Err != nil {
			result.Note = errorText(one.Err)
		}
		out.Results = append(out.Results, result)
	}
	for _, name := range report.Foreign {
		out.Foreign = append(out.Foreign, foreign{name, bytesOf(name)})
	}
	out.failed = err != nil
	switch {
	case ctx.Err() != nil:
		out.Error = "interrupted; the next recovery goes on"
	case out.More:
		out.Error = out.Root + ": --max-time ended; the next recovery goes on"
	}
	return out, nil
}

const deniedNote = "of another user, who has to recover it"

// foresee says what a recovery would do now.
func (r *recovery) foresee(ctx context.Context, root *tempdir.Root, asked *recoverer) error {
	instances, err := root.Instances(ctx)
	if err != nil {
		return err
	}
	for _, instance := range instances {
		one := result{ID: instance.Name}
		old := time.Since(instance.Changed)
		switch instance.State {
		case tempdir.Foreign:
			r.Foreign = append(r.Foreign, foreign{instance.Name, bytesOf(instance.Name)})
			continue
		case tempdir.Live:
			one.Outcome = tempdir.Skipped.String()
		case tempdir.Stale:
			one.Outcome = "would be recovered"
			if !instance.Data && old < asked.lockGrace {
				one.Outcome, one.Note = tempdir.Young.String(), adoptable(asked.lockGrace-old)
			}
		case tempdir.Orphan:
			one.Outcome, one.Note = "would be recovered", "it is an orphan"
			if old < asked.orphanGrace {
				one.Outcome, one.Note = tempdir.Young.String(), "an orphan, "+adoptable(asked.orphanGrace-old)
			}
		case tempdir.YoungLock:
			one.Outcome, one.Note = tempdir.Young.String(), adoptable(asked.lockGrace-old)
		default:
			if errors.Is(instance.Err, fs.ErrPermission) {
				one.Outcome, one.Note = tempdir.Denied.String(), deniedNote
				break
			}
			one.Outcome, r.failed = "would fail", true
			if instance.Err != nil {
				one.Note = errorText(instance.Err)
			}
		}
		r.Results = append(r.Results, one)
	}
	return nil
}

func printRecoveries(cmd *cobra.Command, c *chapters, all []recovery) error {
	out := cmd.OutOrStdout()
	for _, r := range all {
		c.heading(out, r.Root)
		rows := [][]string{{"ID", "OUTCOME", "NOTE"}}
		for _, one := range r.Results {
			rows = append(rows, []string{cell(one.ID), one.Outcome, noteCell(one.Note)})
		}
		for _, one := range r.Foreign {
			rows = append(rows, []string{cell(one.Name), "foreign", "not ours, not touched"})
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
