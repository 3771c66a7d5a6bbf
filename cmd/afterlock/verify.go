package main

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/internal/gate"
)

func newVerify() *cobra.Command {
	var (
		config  gate.Config
		names   []string
		shard   string
		asJSON  bool
		verbose bool
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Run the gate: every check of the library, and a table of what they did",
		Long: `Verify runs the stages of the gate, one after the other:

` + stageList() + `
It needs nothing but this file: no checkout, no Go toolchain, no privileges.
Each stage must reach minimum counts; if it does not, its verdict is undecided.
A stage, or a part of one, that cannot be run here is skipped, and the run is then
skipped too, not passed: --allow-skips accepts that. A stage that did not pass
prints the command that repeats it. The scratch directories of a run that was
killed are removed by the next one with the same --dir.

Progress goes to standard error; the table, or one JSON document also if nothing
could be run, to standard output.

Exit codes: 0 pass, 1 fail, 2 environment (or wrong usage: a full disk,
no permission), 3 undecided or interrupted, 4 skipped. Of several, the first
of fail, environment, undecided, skipped counts.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stages, err := gate.Select(gate.Stages(), names)
			if err != nil {
				return err
			}
			if config.Shard, err = parseShard(shard); err != nil {
				return err
			}
			if !cmd.Flags().Changed("seed") {
				config.Seed = rand.Uint64()
			}
			if cmd.Flags().Changed("duration") && config.Duration <= 0 {
				return fmt.Errorf("--duration %v: must be above 0", config.Duration)
			}
			if config, err = checkConfig(config); err != nil {
				return err
			}
			if !config.Deep && os.Getenv("GOGC") == "" {
				debug.SetGCPercent(400) // a tenth less time in the models and the proof, for 240 MB
			}
			return verify(cmd, stages, config, asJSON, verbose)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&names, "run", nil, "run only this `stage`; may be repeated")
	flags.StringVar(&config.Dir, "dir", os.TempDir(), "existing `directory` to make scratch directories in: its file system is checked")
	flags.Uint64Var(&config.Seed, "seed", 0, "`number` that repeats the random choices (default: random)")
	flags.DurationVar(&config.Duration, "duration", 0, "how long stages traces and lifecycle go on at least (default: until they have their counts)")
	flags.BoolVar(&config.Deep, "deep", false, "larger bounds and longer searches")
	flags.StringVar(&shard, "shard", "", "run part `I/N` of every enumeration, for N machines")
	flags.BoolVar(&config.AllowSkips, "allow-skips", false, "pass also if something cannot be run here")
	flags.BoolVar(&asJSON, "json", false, "print the report as JSON")
	flags.BoolVarP(&verbose, "verbose", "v", false, "log to standard error")
	_ = cmd.RegisterFlagCompletionFunc("run", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, stage := range gate.Stages() {
			names = append(names, stage.Name+"\t"+stage.Description)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func stageList() string {
	var b strings.Builder
	for _, stage := range gate.Stages() {
		fmt.Fprintf(&b, "  %-15s  %s\n", stage.Name, stage.Description)
	}
	return b.String()
}

// parseShard reads "I/N".
func parseShard(text string) (s gate.Shard, err error) {
	if text == "" {
		return s, nil
	}
	i, n, ok := strings.Cut(text, "/")
	if ok {
		if s.I, err = strconv.Atoi(i); err == nil {
			s.N, err = strconv.Atoi(n)
		}
	}
	if !ok || err != nil || s.I < 1 || s.I > s.N {
		return gate.Shard{}, fmt.Errorf("--shard %q: expected I/N, such as 1/4", text)
	}
	return s, nil
}

// checkConfig refuses what cannot be run.
func checkConfig(config gate.Config) (gate.Config, error) {
	if config.Dir == "" {
		return config, errors.New("--dir is empty")
	}
	if err := checkLimits(); err != nil {
		return config, err
	}
	var err error
	if config.Dir, err = filepath.Abs(config.Dir); err != nil {
		return config, err
	}
	if info, err := os.Stat(config.Dir); err != nil {
		return config, err
	} else if !info.IsDir() {
		return config, fmt.Errorf("%s is not a directory", config.Dir)
	}
	return config, nil
}

// A head begins what --json prints of a run. A new schema number says that a reader
// of the old one may not understand it.
type head struct {
	Schema  int       `json:"schema"`
	Program build     `json:"program"`
	Kernel  string    `json:"kernel"`
	User    int       `json:"user"`
	Command []string  `json:"command"`
	Started time.Time `json:"started"`
}

const schema = 1

func newHead(started time.Time) head {
	return head{schema, thisProgram(), runningKernel(), os.Geteuid(), os.Args, started.UTC()}
}

// A document is what verify --json prints.
type document struct {
	head
	Error string `json:"error,omitempty"` // why no stage was run
	gate.Report
}

// unable is the document of a run that could not begin.
func unable(code int, err error) document {
	report := gate.Report{Stages: []gate.Outcome{}, ExitCode: code}
	for verdict, its := range gate.ExitCodes {
		if its == code {
			report.Verdict = verdict
		}
	}
	return document{newHead(time.Now()), err.Error(), report}
}

// asksForJSON reports whether the command is to print JSON; the arguments may
// be wrong.
func asksForJSON(args []string) bool {
	for _, arg := range args {
		if arg == "--json" {
			return true
		}
		if value, ok := strings.CutPrefix(arg, "--json="); ok {
			asked, err := strconv.ParseBool(value)
			return asked || err != nil
		}
	}
	return false
}

func verify(cmd *cobra.Command, stages []gate.Stage, config gate.Config, asJSON, verbose bool) error {
	log := slog.New(slog.DiscardHandler)
	stderr := cmd.ErrOrStderr()
	if verbose {
		log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	fmt.Fprintf(stderr, "seed %d\n", config.Seed)
	// A live line and a log would write over each other.
	display := gate.NewDisplay(stderr, verbose)
	begin := time.Now()
	report, err := gate.Run(cmd.Context(), stages, config, log, display)
	if err != nil {
		return err
	}
	log.Debug("all stages have ended", "took", time.Since(begin))
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), document{head: newHead(begin), Report: report})
	} else {
		err = report.Write(cmd.OutOrStdout())
	}
	switch {
	case err != nil:
		return err
	case report.ExitCode != 0:
		return &exit{code: report.ExitCode}
	}
	return nil
}
