// Detector runs a part of a stage of the gate, for the kill matrix: smaller than
// the stage, chosen by name, repeatable. It prints what is wrong. Its exit codes
// are the command's.
//
//	detector STAGE PART DIR
//	detector list
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/afterlock/afterlock/crashsim"
	"github.com/afterlock/afterlock/crashsim/blackbox"
	_ "github.com/afterlock/afterlock/crashsim/blackbox/drivers"
	"github.com/afterlock/afterlock/fuzz"
	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/bench/worlds"
	"github.com/afterlock/afterlock/internal/gate"
	"github.com/afterlock/afterlock/linearizability"
	"github.com/afterlock/afterlock/model/conformance"
	"github.com/afterlock/afterlock/model/proof"
)

// A part runs in a directory, and returns what is wrong. The error says that it
// could not be run, or that too little was done.
type part struct {
	stage, name string
	run         func(ctx context.Context, dir string) (problems []string, err error)
}

func parts() (all []part) {
	for _, name := range []string{"GateOrphanFallback", "GateSwept", "GateRefinement", "GateOrphan", "GateMount", "GateRefinementFallback", "GateReleaseRefinement", "GateInspect"} {
		all = append(all, part{"edges", name, func(ctx context.Context, dir string) ([]string, error) {
			return diverged(conformance.Run(ctx, conformance.Options{Model: name, Dir: dir}))
		}})
	}
	all = append(all, part{"crash", "disk", func(ctx context.Context, dir string) ([]string, error) {
		r, err := crashsim.Run(ctx, crashsim.Options{First: true})
		return r.Problems(), err
	}})
	for seed := range uint64(5) {
		all = append(all, part{"fuzz", fmt.Sprintf("programs-%d", seed+1), func(ctx context.Context, dir string) ([]string, error) {
			r, err := fuzz.Campaign(ctx, fuzz.Options{Seed: seed + 1, Executions: 20_000})
			if len(r.Problems) > 0 {
				r.Problems = append(r.Problems, fmt.Sprintf("after %d programs in %.1f s: %s", r.Executions, r.Elapsed.Seconds(), r.Repeat))
			}
			return r.Problems, err
		}})
	}
	for _, phase := range []string{"crashes", "errnos", "schedules"} {
		const shards = 4
		for i := range shards {
			all = append(all, box("blackbox", fmt.Sprintf("%s-%d", phase, i+1), blackbox.Options{Phase: phase, ShardI: i + 1, ShardN: shards}))
		}
	}
	// Stage lifecycle is linearizability with large layers.
	for seed := range 2 {
		for name, c := range map[string]linearizability.Config{"goroutines": {Goroutines: 40}, "processes": {Processes: 12}, "large": {Processes: 3, Files: 100}} {
			c.Seed = uint64(seed + 1)
			all = append(all, part{"linearizability", fmt.Sprintf("%s-%d", name, seed+1), histories(c)})
		}
	}
	for _, seed := range []int{2, 5} {
		all = append(all, part{"worlds", fmt.Sprint(seed), func(ctx context.Context, dir string) ([]string, error) {
			r, err := worlds.Run(ctx, worlds.Options{Dir: dir, Seed: uint64(seed), Limit: 48, First: true})
			return r.Findings, err
		}})
	}
	for _, f := range proof.MustFails {
		if f.Action == "" {
			continue // nothing that is proved breaks
		}
		all = append(all, part{"proof", f.Model, func(ctx context.Context, dir string) ([]string, error) {
			wrong, err := gate.Solvers()[0].MustFail(ctx, f)
			return slices.DeleteFunc([]string{wrong}, func(s string) bool { return s == "" }), err
		}})
	}
	all = append(all, part{"traces", "stage", func(ctx context.Context, dir string) ([]string, error) { return whole(ctx, "traces", dir) }})
	return all
}

func box(stage, name string, o blackbox.Options) part {
	return part{stage, name, func(ctx context.Context, dir string) ([]string, error) {
		o.Dir, o.Seed, o.Command = dir, 1, os.Getenv("AFTERLOCK_COMMAND")
		r, err := blackbox.Run(ctx, o)
		return r.Problems, err
	}}
}

func histories(c linearizability.Config) func(context.Context, string) ([]string, error) {
	return func(ctx context.Context, dir string) ([]string, error) {
		c.Dir, c.Images, c.Timeout = dir, dir, time.Minute
		c.Log, c.Progress = slog.New(slog.DiscardHandler), func(string) {}
		r, err := linearizability.Run(ctx, c)
		return r.Problems, err
	}
}

func diverged(r conformance.Report, err error) ([]string, error) {
	if r.Divergence != nil {
		return []string{r.Divergence.String()}, nil
	}
	if err == nil && r.Skipped != "" {
		err = errors.New("skipped: " + r.Skipped)
	}
	return nil, err
}

// whole runs a stage as the gate does.
func whole(ctx context.Context, name, dir string) ([]string, error) {
	stages, err := gate.Select(gate.Stages(), []string{name})
	if err != nil {
		return nil, err
	}
	config := gate.Config{Dir: dir, Seed: 1, Duration: 2 * time.Second, AllowSkips: true}
	report, err := gate.Run(ctx, stages, config, slog.New(slog.DiscardHandler), gate.NewDisplay(os.Stderr, true))
	if err != nil {
		return nil, err
	}
	o := report.Stages[0]
	if o.Verdict == gate.Fail {
		return append(o.Problems, o.Because), nil
	}
	if o.Verdict != gate.Pass {
		return nil, fmt.Errorf("%s: %s", o.Verdict, o.Because)
	}
	return nil, nil
}

func main() {
	proc.Become()
	if len(os.Args) == 2 && os.Args[1] == "list" {
		for _, p := range parts() {
			fmt.Println(p.stage, p.name)
		}
		return
	}
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: detector STAGE PART DIR, or detector list")
		os.Exit(gate.ExitCodes[gate.Environment])
	}
	all := parts()
	i := slices.IndexFunc(all, func(p part) bool { return p.stage == os.Args[1] && p.name == os.Args[2] })
	if i < 0 {
		fmt.Fprintln(os.Stderr, "no such part")
		os.Exit(gate.ExitCodes[gate.Environment])
	}
	problems, err := all[i].run(context.Background(), os.Args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(gate.ExitCodes[gate.Undecided])
	}
	if len(problems) > 0 {
		fmt.Println(strings.Join(problems, "\n"))
		os.Exit(gate.ExitCodes[gate.Fail])
	}
}
