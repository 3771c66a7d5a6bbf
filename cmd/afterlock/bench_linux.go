package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/bench/speed"
	"github.com/afterlock/afterlock/internal/gate"
	"github.com/afterlock/afterlock/internal/scratch"
	"github.com/afterlock/afterlock/model/proof"
)

func init() {
	proc.Register(speed.RoleProgram, func([]string) { begin() })
	speed.Prove = prove
}

func newBench() *cobra.Command {
	var (
		o      speed.Options
		dir    string
		out    string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure deletions beside what is installed of others, and beside bare loops",
		Long: `Bench measures how long it takes to remove a tree: by "afterlock rm", by package
tempdir in place and staged, and by what is installed of

  ` + strings.Join(speed.Peers(), ", ") + `

In a round each removes a new tree of every shape on every file system, in another
order each time; what a file system does afterwards is waited for before the next
tree is made. A ratio is the median over the rounds, with its interval of 95 % by
ranks, which takes six rounds at least. A command counts from its start to its end,
a call from call to return, so each is compared with ours of its own kind. --limit
adds bare loops of openat, getdents64 and unlinkat, on one thread and more, in the
order of the directory and of inode numbers, without any check: in this program, by
raw system calls.

Shapes: nested (250 files in a directory), many (4 in a directory), flat (one directory), small (20 files),
deep (1,000 levels), huge (4 files of 64 MiB), toolchain (the names and sizes of the
installed Go), and with --like those of a directory; files have blocks, and nothing
is written to them.

Tables: removal; hold, how long a layer store's lock is held by deletions, by the
size of a layer and for several at once; idle, a look at a root with nothing to
recover; recovery of many stale instances; memory, the peak of removals; checks, what
the explorer, a solver and the judge of histories do in a second.

Who may mount gets file systems of its own, in images in --dir, or in memory, in a
mount name space that ends with the run; others measure in --dir alone ("here").

Exit codes: 0 measured; 1 a contender failed; 2 usage or environment; 3 interrupted: what is
printed is of the rounds until then.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Check(); err != nil {
				return err
			}
			if out != "" {
				if err := os.MkdirAll(out, 0o755); err != nil {
					return err
				}
			}
			work, err := scratch.Open(cmd.Context(), dir)
			if err != nil {
				return err
			}
			o.Dir = work.Path()
			o.Progress = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), text) }
			report, err := speed.Run(cmd.Context(), o)
			if err = errors.Join(err, work.Close()); err != nil {
				return err
			}
			write := report.WriteText
			if asJSON {
				write = func(out io.Writer) error { return printJSON(out, report) }
			}
			if err := write(cmd.OutOrStdout()); err != nil {
				return err
			}
			if out != "" {
				if err := keep(report, out); err != nil {
					return err
				}
			}
			if report.Interrupted {
				return cmd.Context().Err()
			}
			if report.Failed() {
				return failed()
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.Tables, "table", nil, "`tables` to make (default: all)")
	flags.StringSliceVar(&o.FileSystems, "fs", nil, "`file systems`: "+strings.Join(speed.FileSystems, ", ")+" (default: all but here)")
	flags.StringSliceVar(&o.Shapes, "shape", nil, "`shapes`: "+strings.Join(speed.Shapes, ", ")+" (default: "+strings.Join(speed.DefaultShapes, ", ")+")")
	flags.StringArrayVar(&o.Like, "like", nil, "a shape like that of this `directory`; may be repeated")
	flags.StringSliceVar(&o.Against, "against", nil, "`peers`, or "+speed.Nobody+" (default: all that are installed)")
	flags.StringSliceVar(&o.Only, "ours", nil, "`rows` of ours: "+strings.Join(speed.OurRows(), ", ")+" (default: all)")
	flags.IntVar(&o.Files, "files", 1000, "`number` of files in a tree, and of the largest in the other tables")
	flags.IntVar(&o.Pairs, "pairs", 15, "`number` of rounds")
	flags.DurationVar(&o.Time, "time", 0, "begin no round of removals that would end after `this long`")
	flags.BoolVar(&o.Limit, "limit", false, "measure the bare loops, too")
	flags.BoolVar(&o.Cold, "cold", false, "drop caches before each removal")
	flags.StringVar(&dir, "dir", os.TempDir(), "existing `directory` for trees and images")
	flags.StringVar(&out, "out", "", "`directory` for text, JSON, lines for benchstat and plots")
	flags.BoolVar(&asJSON, "json", false, "print the report as JSON")
	return cmd
}

// prove has the first solver that there is prove the protocol.
func prove(ctx context.Context) (questions int, err error) {
	answers, err := gate.Solvers()[0].Prove(ctx, proof.Ours().Obligations(), func(gate.Proved) {})
	for _, a := range answers {
		if err == nil && a.Answer != "unsat" {
			err = fmt.Errorf("%s does not prove that %s", a.Solver, a.Name)
		}
	}
	return len(answers), err
}

// keep writes all that there is of the report into the directory.
func keep(report *speed.Report, dir string) error {
	for name, write := range map[string]func(io.Writer) error{
		"speed.txt":   report.WriteText,
		"speed.bench": report.WriteBenchmarks,
		"speed.json":  func(out io.Writer) error { return printJSON(out, report) },
	} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		if err := errors.Join(write(f), f.Close()); err != nil {
			return err
		}
	}
	return report.WritePlots(dir)
}
