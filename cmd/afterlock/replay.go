package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/crashsim"
	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/internal/scratch"
	"github.com/afterlock/afterlock/model/conformance"
)

// A replayer repeats what its kind of schedule says, and writes what happens.
// Its error is an *exit, or says that the schedule cannot be replayed here.
type replayer func(ctx context.Context, o replayOptions, out io.Writer) error

// A replayOptions is a schedule without its prefix, and the flags.
type replayOptions struct {
	schedule string
	dir      string
	runs     int
}

// replayers are the kinds of schedules, by the word before the first colon.
var replayers = map[string]replayer{
	"conformance":    replayConformance,
	"counterexample": replayCounterexample,
	"box":            replayBox,
	"crash":          replayCrash("crash:"),
	"soft":           replayCrash("soft:"),
}

func newReplay() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay KIND:SCHEDULE",
		Short: "Repeat a failure, or a counterexample, from the string that was printed",
		Long: `Replay repeats what a check has printed, step by step.

  conformance:MODEL:EDGES   a walk through the state graph of a model, by the
                            library; exit code 0 if it does what the model says
  counterexample:MODEL      the counterexample of a model that must fail, by
                            processes that have its faults, and then the same
                            schedule by the library; exit code 0 if the damage
                            is done in every run and the library does none
  crash:..., soft:...       a crash of the library on a simulated disk, or on a
                            real file system; exit code 0 if nothing is wrong
  box:...                   a crash, an errno or a schedule of real processes;
                            exit code 0 if nothing is wrong

Exit codes: 0 it shows what it should, 1 it does not, 2 usage, or the schedule
cannot be replayed here, 3 interrupted.`,
		Example: `  afterlock replay counterexample:UpstreamAsShipped --runs 100
  afterlock replay conformance:GateSwept:0.2.2.2.0f1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, schedule, found := strings.Cut(args[0], ":")
			replay := replayers[kind]
			if !found || replay == nil {
				return fmt.Errorf("replay %q: expected one of %s, a colon, and what was printed", args[0], strings.Join(kinds(), ", "))
			}
			if o.runs < 1 {
				return errors.New("--runs must be at least 1")
			}
			if info, err := os.Stat(o.dir); err != nil {
				return err
			} else if !info.IsDir() {
				return fmt.Errorf("%s is not a directory", o.dir)
			}
			o.schedule = schedule
			work, err := scratch.Open(cmd.Context(), o.dir)
			if err != nil {
				return err
			}
			o.dir = work.Path()
			err = replay(cmd.Context(), o, cmd.OutOrStdout())
			return errors.Join(err, work.Close())
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var words []string
			for _, name := range conformance.Counterexamples() {
				words = append(words, "counterexample:"+name)
			}
			return words, cobra.ShellCompDirectiveNoFileComp
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", os.TempDir(), "`directory` for scratch directories of conformance and counterexample")
	flags.IntVar(&o.runs, "runs", 1, "`number` of times to replay a counterexample")
	return cmd
}

func kinds() (words []string) {
	for kind := range replayers {
		words = append(words, kind)
	}
	slices.Sort(words)
	return words
}

func replayConformance(ctx context.Context, o replayOptions, out io.Writer) error {
	err := conformance.Replay(ctx, o.schedule, o.dir, out)
	if differs := new(conformance.DifferenceError); errors.As(err, &differs) {
		return &exit{code: exitFailed, err: err}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "the code does what the specification says")
	return err
}

// replayCrash is for the schedules of package crashsim, which keep their prefix.
func replayCrash(prefix string) replayer {
	return func(ctx context.Context, o replayOptions, out io.Writer) error {
		return wrong(crashsim.Replay(ctx, prefix+o.schedule, out))
	}
}

// replayBox builds the programs of the black box and runs them again.
func replayBox(ctx context.Context, o replayOptions, out io.Writer) error {
	return wrong(blackbox.Replay(ctx, o.schedule, out))
}

// wrong is for a replay that has written what is wrong, or could not be made.
func wrong(findings int, err error) error {
	if err == nil && findings > 0 {
		return failed()
	}
	return err
}

func replayCounterexample(ctx context.Context, o replayOptions, out io.Writer) error {
	report, err := conformance.ReplayCounterexample(ctx, conformance.CounterexampleOptions{
		Model: o.schedule, Dir: o.dir, Runs: o.runs, Out: out,
	})
	if err != nil {
		return err
	}
	if _, err := io.WriteString(out, report.String()); err != nil {
		return err
	}
	switch {
	case report.Skipped != "":
		return &exit{code: exitUsage} // the environment does not allow it
	case !report.Passed():
		return failed()
	}
	return nil
}
