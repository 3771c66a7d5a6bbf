// Afterlock checks the tempdir library on real files and real killed processes,
// and looks after the roots that stores on this machine have.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/crashsim/conformance"
	"github.com/afterlock/afterlock/internal/stress"
	"github.com/afterlock/afterlock/linearizability"
)

func main() {
	stress.BecomeWorker()
	conformance.BecomeProcess()
	linearizability.BecomeWorker()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// From the first signal on, a second one ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
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
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	code := exitUsage // cobra's own errors are about usage
	var coded *exit
	if errors.As(err, &coded) {
		code, err = coded.code, coded.err
	}
	if err != nil {
		fmt.Fprintln(stderr, "afterlock:", printable(err.Error()))
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
  3  undecided: nothing wrong was found, and not enough was done to say more`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newVerify(), newReplay(), newCheck(), newModel(), newClaims(), newLs(), newRecover(), newRm())
	return root
}
