package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/crashsim/blackbox"
	"github.com/afterlock/afterlock/crashsim/powerloss"
	"github.com/afterlock/afterlock/crashsim/subjects"
	"github.com/afterlock/afterlock/fuzz"
	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/internal/bench/worlds"
	"github.com/afterlock/afterlock/internal/scratch"
	"github.com/afterlock/afterlock/model/conformance"
)

// A replayer repeats what a schedule of its kind says, and writes what happens.
// Its error is an *exit, or says that the schedule cannot be replayed here.
type replayer func(ctx context.Context, how *schedule.Schedule, o replayOptions, out io.Writer) error

// A replayOptions is the flags.
type replayOptions struct {
	dir  string
	runs int
}

// replayers are the kinds of schedules.
var replayers = map[string]replayer{
	"conformance":    replayConformance,
	"counterexample": replayCounterexample,
	"box":            replayWith(blackbox.Replay),
	"crash": replayWith(func(ctx context.Context, text, _ string, out io.Writer) (int, error) {
		return fuzz.Replay(ctx, text, out)
	}),
	"world":     replayWith(worlds.Replay),
	"powerloss": replayPowerLoss,
}

func newReplay() *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay SCHEDULE",
		Short: "Repeat a failure, or a counterexample, from the schedule that was printed",
		Long: `Replay repeats what a check has printed, step by step.

A schedule is KIND:PROGRAM[@WORLD][/STEPS[/LOSS...]]:

  conformance:MODEL/EDGES       a walk through the state graph of a model, by the
                                library; exit code 0 if it does what the model says
  conformance:MODEL@PLACE/EDGES the same beside upstream, which is together (with the
                                library in one process), apart, or in other mounts
                                or pids; exit code 0 if nothing live is lost
  counterexample:MODEL          the counterexample of a model that must fail, by
                                upstream's code if that has the fault, and then the
                                same schedule by the library; exit code 0 if that
                                damage is done in every run and the library does none
  crash:SCENARIO@MODEL/STEPS    calls of the library on a simulated disk, and what
                                power losses take back; exit code 0 if nothing is
                                wrong, and the calls are a behaviour of the model
  box:PROGRAM/STEPS             calls of real processes, kills and errnos; exit
                                code 0 if nothing is wrong

  world:PROGRAM@NAME=VALUE,...  a program in a place that differs in these respects
                                from a plain one; exit code 0 if nothing is wrong
  powerloss:PROGRAM@FS/D9c/LOST a program on a file system whose disk has made nine
                                writes, flushes and marks, some of them lost, when
                                the power goes; exit code 0 if nothing is wrong

A step is an edge, as 2 or 2!1 (the second call of it fails), or what process A
does: A7 (seven calls), A* (to the end of its command), A7! (it is killed then),
A7!EIO (the next call fails). Schedules that former versions printed are
understood.

Exit codes: 0 it shows what it should, 1 it does not, 2 usage, or the schedule
cannot be replayed here, 3 interrupted.`,
		Example: `  afterlock replay counterexample:UpstreamAsShipped --runs 100
  afterlock replay conformance:GateSwept/0.2.2.2.0!1`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			how, err := schedule.Parse(args[0])
			if err != nil {
				return err
			}
			replay := replayers[how.Kind]
			if replay == nil {
				return how.Refuse("expected one of %s, a colon, and what was printed", strings.Join(slices.Sorted(maps.Keys(replayers)), ", "))
			}
			if o.runs < 1 {
				return errors.New("--runs must be at least 1")
			}
			if info, err := os.Stat(o.dir); err != nil {
				return err
			} else if !info.IsDir() {
				return fmt.Errorf("%s is not a directory", o.dir)
			}
			work, err := scratch.Open(cmd.Context(), o.dir)
			if err != nil {
				return err
			}
			o.dir = work.Path()
			err = replay(cmd.Context(), how, o, cmd.OutOrStdout())
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

func replayConformance(ctx context.Context, how *schedule.Schedule, o replayOptions, out io.Writer) error {
	err := conformance.Replay(ctx, how.String(), o.dir, out)
	if differs := new(conformance.DifferenceError); errors.As(err, &differs) {
		return &exit{code: exitFailed, err: err}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, "the code does what the specification says")
	return err
}

// replayWith is for those that say how many findings they have written.
func replayWith(replay func(ctx context.Context, text, dir string, out io.Writer) (findings int, err error)) replayer {
	return func(ctx context.Context, how *schedule.Schedule, o replayOptions, out io.Writer) error {
		findings, err := replay(ctx, how.String(), o.dir, out)
		if err == nil && findings > 0 {
			return failed()
		}
		return err
	}
}

// replayPowerLoss builds the driver of the released store, if the program is one of it.
func replayPowerLoss(ctx context.Context, how *schedule.Schedule, o replayOptions, out io.Writer) error {
	return replayWith(func(ctx context.Context, text, dir string, out io.Writer) (int, error) {
		driver := ""
		if strings.HasPrefix(how.Program, "released-") {
			w, err := subjects.Open(ctx, subjects.Options{Dir: dir})
			if err != nil {
				return 0, err
			}
			if driver, err = w.Driver(ctx, "released"); err != nil {
				return 0, err
			}
		}
		return powerloss.Replay(ctx, powerloss.Options{Replay: text, Dir: dir, Driver: driver}, out)
	})(ctx, how, o, out)
}

func replayCounterexample(ctx context.Context, how *schedule.Schedule, o replayOptions, out io.Writer) error {
	if how.World != "" || len(how.Steps)+len(how.Losses) > 0 {
		return how.Refuse("expected counterexample:MODEL")
	}
	report, err := conformance.ReplayCounterexample(ctx, conformance.CounterexampleOptions{
		Model: how.Program, Dir: o.dir, Runs: o.runs, Out: out,
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
