package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/internal/gate"
	"github.com/afterlock/afterlock/linearizability/trace"
)

func newCheck() *cobra.Command {
	var asText bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Judge a file that verify has saved",
		Long: `Check judges a file that verify has saved, once more. The first line of the
file says what it is: a trace, in its binary or its text form.

A trace is valid if some interleaving of its calls is a behaviour of the
specification. If none is, check prints the longest prefix that is one, the
next event, why the model does not allow it, and the last events of the
instance.

Exit codes: 0 valid, 1 invalid, 2 not a file that can be judged, 3 undecided.`,
		Example: `  afterlock check afterlock-trace-7-0
  afterlock check --text afterlock-trace-7-0 > trace.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := beginningOf(args[0])
			switch {
			case err != nil:
				return err
			case trace.IsTrace(kind):
				return checkTrace(cmd.Context(), cmd.OutOrStdout(), args[0], asText)
			}
			return fmt.Errorf("%s: the first line is that of no file that verify saves", args[0])
		},
	}
	cmd.Flags().BoolVar(&asText, "text", false, "print a trace as text, and do not judge it")
	return cmd
}

// beginningOf reads as much of a file as tells its kind.
func beginningOf(path string) ([]byte, error) {
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

func checkTrace(ctx context.Context, out io.Writer, path string, asText bool) error {
	t, err := trace.Open(path)
	if err != nil {
		return err
	}
	if asText {
		w := bufio.NewWriter(out)
		if err := t.WriteText(w); err != nil {
			return err
		}
		return w.Flush()
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
	switch r.Verdict {
	case trace.Invalid:
		return failed()
	case trace.Undecided:
		return &exit{code: gate.ExitUndecided}
	}
	return nil
}
