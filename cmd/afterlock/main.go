// Afterlock checks the tempdir library on real files and real killed processes,
// and looks after the roots that stores on this machine have.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/gate"
)

func main() {
	proc.Become()
	begin()
}

func begin() {
	ctx, end := untilEnded()
	os.Exit(run(ctx, os.Args[1:], watch(os.Stdout, end), watch(os.Stderr, end)))
}

// Exit codes of every command. Those of verify are package gate's.
const (
	exitFailed = 1
	exitUsage  = 2
)

// run is the program: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	code := exitUsage // cobra's own errors are about usage
	var coded *exit
	if errors.As(err, &coded) {
		code, err = coded.code, coded.err
	}
	if errors.Is(err, context.Canceled) {
		code, err = gate.ExitCodes[gate.Undecided], errors.New("interrupted")
	}
	if err != nil {
		fmt.Fprintln(stderr, "afterlock:", printable(err.Error()))
		if cmd.Name() == "verify" && asksForJSON(args) {
			_ = printJSON(stdout, unable(code, err)) // standard error has it too
		}
	}
	return code
}

// An exit is an error with an exit code. Without err everything is printed.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string { return fmt.Sprintf("exit code %d: %v", e.code, e.err) }

// failed is for a command that has printed what failed.
func failed() error { return &exit{code: exitFailed} }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "afterlock",
		Short: "Delete after the lock is dropped, and show that nothing live is lost",
		Long: `Afterlock checks the tempdir library on real files and real killed processes,
and looks after the roots (directories of temporary directories) of stores.

Exit codes:
  0  pass; everything was done
  1  fail; something could not be removed or recovered
  2  usage, or the environment does not allow it
  3  undecided: nothing wrong was found, and not enough was done to say more;
     or interrupted before there was anything to say
  4  skipped: what was run passed, and not everything could be run here`,
		Version:       thisProgram().String(),
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newVerify(), newCheck(), newModel(), newProof(), newLs(), newRecover(), newRm())
	root.AddCommand(onLinux()...)
	for _, cmd := range root.Commands() {
		cmd.Args = withUsage(cmd.Args)
	}
	return root
}

// withUsage adds the command's usage to a complaint about its arguments.
func withUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		return nil
	}
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fmt.Errorf("%w; usage: %s", err, cmd.UseLine())
		}
		return nil
	}
}
