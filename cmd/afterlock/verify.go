package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
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
Every stage works in a scratch directory of its own that is removed at the end.
What is counted is asserted: a stage that did not do enough is undecided, not
passed. A stage that did not pass prints the command that repeats it.

Progress goes to standard error, the table to standard output.

Exit codes: 0 pass, 1 fail, 2 usage or environment, 3 undecided; fail beats the
others. A skipped stage does not count, unless all of them are.`,
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
			if config, err = checkConfig(cmd.Context(), config); err != nil {
				return err
			}
			return verify(cmd, stages, config, asJSON, verbose)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&names, "run", nil, "run only this `stage`; may be repeated")
	flags.StringVar(&config.Tree, "tree", "", "`directory` whose files become layers (default: src of the Go toolchain)")
	flags.StringVar(&config.Dir, "dir", os.TempDir(), "existing `directory` to make scratch directories in: its file system is checked")
	flags.Uint64Var(&config.Seed, "seed", 0, "`number` that repeats the random choices (default: random)")
	flags.DurationVar(&config.Duration, "duration", 0, "how long each stage works (default: 5s)")
	flags.IntVar(&config.Creators, "creators", 0, "`number` of processes that stage and close (default: the stage's)")
	flags.IntVar(&config.Recoverers, "recoverers", 0, "`number` of processes that recover (default: the stage's)")
	flags.BoolVar(&config.Deep, "deep", false, "larger bounds and longer searches")
	flags.StringVar(&shard, "shard", "", "run part `I/N` of every enumeration, for N machines")
	flags.BoolVar(&asJSON, "json", false, "print the report as JSON")
	flags.BoolVarP(&verbose, "verbose", "v", false, "log to standard error")
	_ = cmd.RegisterFlagCompletionFunc("run", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for _, stage := range gate.Stages() {
			names = append(names, stage.Name()+"\t"+stage.Description())
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func stageList() string {
	var b strings.Builder
	for _, stage := range gate.Stages() {
		fmt.Fprintf(&b, "  %-10s  %s\n", stage.Name(), stage.Description())
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
		return gate.Shard{}, fmt.Errorf("--shard %q: wants I/N, such as 1/4", text)
	}
	return s, nil
}

// checkConfig refuses what cannot be run, and fills in the tree.
func checkConfig(ctx context.Context, config gate.Config) (gate.Config, error) {
	switch {
	case config.Duration < 0:
		return config, fmt.Errorf("--duration %v: must not be negative", config.Duration)
	case config.Creators < 0 || config.Recoverers < 0:
		return config, errors.New("--creators and --recoverers must not be negative")
	case config.Dir == "":
		return config, errors.New("--dir is empty")
	}
	if err := checkLimits(); err != nil {
		return config, err
	}
	if config.Tree == "" {
		goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return config, fmt.Errorf("no Go toolchain to take files from (go env GOROOT: %w); choose some with --tree", err)
		}
		config.Tree = filepath.Join(strings.TrimSpace(string(goroot)), "src")
	}
	for _, path := range []*string{&config.Tree, &config.Dir} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return config, err
		}
		*path = absolute
		if info, err := os.Stat(absolute); err != nil {
			return config, err
		} else if !info.IsDir() {
			return config, fmt.Errorf("%s is not a directory", absolute)
		}
	}
	return config, nil
}

func verify(cmd *cobra.Command, stages []gate.Stage, config gate.Config, asJSON, verbose bool) error {
	log := slog.New(slog.DiscardHandler)
	stderr := cmd.ErrOrStderr()
	if verbose {
		log = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	fmt.Fprintf(stderr, "seed %d\n", config.Seed)
	// A live line and a log would write over each other.
	display, finish := gate.NewDisplay(stderr, verbose)
	begin := time.Now()
	report := gate.Run(cmd.Context(), stages, config, log, display)
	finish()
	log.Debug("all stages have ended", "took", time.Since(begin))
	var err error
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), report)
	} else {
		err = report.Write(cmd.OutOrStdout())
	}
	switch {
	case err != nil:
		return err
	case report.ExitCode != gate.ExitPass:
		return &exit{code: report.ExitCode}
	}
	return nil
}
