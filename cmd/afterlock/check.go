package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/internal/gate"
	"github.com/afterlock/afterlock/linearizability"
	"github.com/afterlock/afterlock/model/conformance/trace"
)

func newCheck() *cobra.Command {
	var (
		html    string
		timeout time.Duration
	)
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Judge a file that verify has saved",
		Long: `Check judges a file that verify has saved, once more. The first line of the
file says what it is: a trace, or a history. Both are text.

A trace is valid if some interleaving of its calls is a behaviour of the
specification. If none is, check prints the longest prefix that is one, the
next event, why the model does not allow it, and the last events of the
instance.

A history is ok if some order of its operations explains what they answered.
If none does, check prints a few operations that are illegal by themselves.
Check writes Porcupine's picture of it beside the file.

Exit codes: 0 valid or ok, 1 invalid or illegal, 2 not a file that can be
judged, 3 undecided.`,
		Example: `  afterlock check afterlock-trace-7-0
  afterlock check --html picture.html afterlock-history-7`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := beginningOf(args[0])
			switch {
			case err != nil:
				return err
			case timeout < 0:
				return fmt.Errorf("--timeout %v: a history cannot take less than nothing", timeout)
			case trace.IsTrace(kind):
				return checkTrace(cmd.Context(), cmd.OutOrStdout(), args[0])
			case linearizability.IsHistory(kind):
				if html == "" {
					html = args[0] + ".html"
				}
				return checkHistory(cmd.Context(), cmd.OutOrStdout(), args[0], html, timeout)
			}
			return fmt.Errorf("%s: the first line is that of no file that verify saves", args[0])
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&html, "html", "", "`file` for the picture of a history (default: beside it, with .html)")
	flags.DurationVar(&timeout, "timeout", 0, "how long a history may take to be judged (default: 10s)")
	return cmd
}

// beginningOf reads as much of a file as tells its kind. It refuses what has no
// end, and a fifo, whose opening waits.
func beginningOf(path string) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	beginning := make([]byte, 64)
	n, err := io.ReadFull(file, beginning)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return beginning[:n], nil
}

func checkHistory(ctx context.Context, out io.Writer, path, html string, timeout time.Duration) error {
	verdict, err := linearizability.Check(ctx, path, out, html, timeout)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "verdict: %s\n", verdict)
	return judged(verdict == linearizability.Illegal, verdict == linearizability.Undecided)
}

// judged is the exit code of a verdict.
func judged(wrong, undecided bool) error {
	switch {
	case wrong:
		return failed()
	case undecided:
		return &exit{code: gate.ExitCodes[gate.Undecided]}
	}
	return nil
}

func checkTrace(ctx context.Context, out io.Writer, path string) error {
	t, err := trace.Open(path)
	if err != nil {
		return err
	}
	begin := time.Now()
	r, err := trace.Validate(ctx, t)
	if err != nil {
		return err
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(out, "%s\n\n", problem)
	}
	for _, because := range r.Because {
		fmt.Fprintf(out, "undecided: %s\n", because)
	}
	fmt.Fprintf(out, "%d events, %d instances, %d calls judged, %d cut off, %d states at most at one time, %.3f s\n",
		r.Events, r.Instances, r.Operations, r.CutOff, r.Most, time.Since(begin).Seconds())
	if r.Dropped > 0 {
		fmt.Fprintf(out, "only the beginning was recorded: %d more events found no room\n", r.Dropped)
	}
	fmt.Fprintf(out, "verdict: %s\n", r.Verdict)
	return judged(r.Verdict == trace.Invalid, r.Verdict == trace.Undecided)
}
