package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/crashsim/subjects"
	"github.com/afterlock/afterlock/internal/gate"
	"github.com/afterlock/afterlock/internal/scratch"
)

// An upstreamMode is what the command does if the flag of its name is given; the
// first, which has no name, if none is.
type upstreamMode struct {
	name, help string
	flags      string // those of modeFlags that it knows
	run        func(w *subjects.Workshop, ctx context.Context, o subjects.Run) (*subjects.Report, error)
}

func (m upstreamMode) String() string {
	if m.name == "" {
		return "without a mode"
	}
	return "--" + m.name
}

// upstreamModes are all of them.
var upstreamModes = []upstreamMode{
	{"", "", "runs seconds", (*subjects.Workshop).Fixed},
	{"steered", "the schedule alone, --runs times (1); words: VARIANT or VARIANT/MOMENT (released)", "runs",
		func(w *subjects.Workshop, ctx context.Context, o subjects.Run) (*subjects.Report, error) {
			if len(o.Words) == 0 {
				o.Words = []string{"released"}
			}
			r := &subjects.Report{}
			return r, w.Schedule(ctx, r, o.Words, cmp.Or(o.Runs, 1), o.Log)
		}},
	{"older", "older releases, and Debian's podman and buildah, on one store with the newest and with compat (2 min; words: some of them)", "", (*subjects.Workshop).Older},
	{"killed", "a process that deletes or puts, and ends, killed with its group at each mutating call, and what a server makes of it (5 min; words: VARIANT/DRIVER/ERRAND/POINT, or how one begins)", "", (*subjects.Workshop).Killed},
	{"policy", "who waits when a store recovers, and until when space is taken: one trace with kills, under each policy (20 min; words: policies)", "runs seed", (*subjects.Workshop).Policies},
	{"adopt", "its own tests and commands, with and without compat (words: " + strings.Join(subjects.AdoptionParts(), ", ") + ")", "runs", (*subjects.Workshop).Adopt},
	{"powerloss", "power losses under ext4, xfs and btrfs while a layer is put or deleted, beside ours (1 min; words: programs or file systems)", "seed", (*subjects.Workshop).PowerLoss},
	{"patch", "the patch of docs/UPSTREAM.md on a copy, whole, without each part, and with recovery out of the locks (10 min; words: " + strings.Join(subjects.PatchParts(), ", ") + ")", "runs seconds", (*subjects.Workshop).Patch},
}

// modeFlags have a meaning for some of the modes.
var modeFlags = []string{"runs", "seconds", "seed"}

func newUpstream() *cobra.Command {
	var (
		options subjects.Options
		o       subjects.Run
		keep    string
		asJSON  bool
		chosen  = make([]bool, len(upstreamModes))
	)
	cmd := &cobra.Command{
		Use:   "upstream [flags] [WORD...]",
		Short: "Is it fixed yet? The released containers/storage, beside itself with compat",
		Long: `Upstream says whether a release of containers/storage (go.podman.io/storage, that
Podman, Buildah and CRI-O are built with) still loses data (podman#29641):

  schedule   the model's counterexample, steered call by call on the release
  puts       processes that put, read back and delete layers in one overlay store
             by the public interface: how many puts fail, or are not whole
  instances  processes that stage and commit, beside others that recover, some of
             them killed: how many live instances have lost their data

The same is done with the release whose two import paths are changed to compat, and
with both in one store. Nothing of the release becomes part of this program: it is
copied from the module cache, or the proxy, into a scratch directory and built there.
That needs the go command and a checkout of this repository. The stores are on a
tmpfs, in a mount name space of their own; that needs root.
` + modeList() + `
Exit codes: 0 pass: nobody lost anything, and enough was done to say so; 1 fail: the
table says who lost what; 2 usage, or the environment; 3 undecided: not enough was
done, or interrupted; 4 skipped: the release cannot be had, or this user or kernel
cannot do it.`,
		Example: `  afterlock upstream
  afterlock upstream --version v1.65.0 --seconds 60`,
		RunE: func(cmd *cobra.Command, args []string) error {
			mode, err := chosenMode(chosen)
			if err != nil {
				return err
			}
			if len(args) > 0 && mode.name == "" {
				return fmt.Errorf("unknown argument %q", args[0])
			}
			if o.Runs < 0 || !(o.Seconds >= 0) || o.Seconds > 86400 {
				return errors.New("--runs must not be negative, nor --seconds, which is a day at most")
			}
			for _, name := range modeFlags {
				if cmd.Flags().Changed(name) && !slices.Contains(strings.Fields(mode.flags), name) {
					return fmt.Errorf("--%s has no meaning for upstream %s", name, mode)
				}
			}
			if err := ownMounts(); err != nil {
				return err
			}
			o.Words, o.Log = args, cmd.ErrOrStderr()
			return upstream(cmd, mode, options, o, keep, asJSON)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Version, "version", "", "`version` of the module (default: the newest)")
	flags.StringVar(&options.Module, "module", subjects.Storage, "`path` of the module; before v1.60 it was github.com/containers/storage")
	flags.StringVar(&options.Checkout, "checkout", "", "`directory` with a checkout of this repository (default: the working directory, or one above it)")
	flags.StringVar(&o.Dir, "dir", os.TempDir(), "existing `directory` for scratch directories")
	flags.StringVar(&keep, "keep", "", "`directory` to work in instead, which is made and kept")
	flags.IntVar(&o.Runs, "runs", 0, "`number` of runs of what is repeated (default: the mode's)")
	flags.Float64Var(&o.Seconds, "seconds", 0, "how long processes run free (default: the mode's)")
	flags.Uint64Var(&o.Seed, "seed", 1, "of what is drawn")
	flags.BoolVar(&asJSON, "json", false, "print the report as JSON")
	for i, mode := range upstreamModes {
		if mode.name != "" {
			flags.BoolVar(&chosen[i], mode.name, false, "see above")
		}
	}
	return cmd
}

func modeList() string {
	var b strings.Builder
	for _, mode := range upstreamModes {
		if mode.name == "" {
			b.WriteString("\nInstead of that, on the same release:\n\n")
			continue
		}
		fmt.Fprintf(&b, "  %-12s  %s\n", "--"+mode.name, mode.help)
	}
	return b.String()
}

// chosenMode is the one whose flag was given, or the first.
func chosenMode(chosen []bool) (mode upstreamMode, err error) {
	mode = upstreamModes[0]
	for i, given := range chosen {
		switch {
		case given && mode.name != "":
			return mode, fmt.Errorf("--%s and --%s exclude each other", mode.name, upstreamModes[i].name)
		case given:
			mode = upstreamModes[i]
		}
	}
	return mode, nil
}

// upstream runs the mode in a scratch directory and prints its report.
func upstream(cmd *cobra.Command, mode upstreamMode, options subjects.Options, o subjects.Run, keep string, asJSON bool) error {
	ctx, begin := cmd.Context(), time.Now()
	if keep != "" {
		if err := os.MkdirAll(keep, 0o755); err != nil {
			return err
		}
		if entries, err := os.ReadDir(keep); err != nil || len(entries) > 0 {
			return cmp.Or(err, fmt.Errorf("--keep %s: the directory is not empty", keep))
		}
		o.Dir = keep
	} else {
		work, err := scratch.Open(ctx, o.Dir)
		if err != nil {
			return err
		}
		defer work.Close() // what is left is for the next run
		o.Dir = work.Path()
	}
	options.Dir, options.Log = o.Dir, o.Log
	d := upstreamDocument{
		head: newHead(begin), Module: options.Module, Version: cmp.Or(options.Version, "latest"), LoadBefore: subjects.Load(),
	}
	report := &subjects.Report{}
	w, err := subjects.Open(ctx, options)
	if err == nil {
		d.Version = w.Version
		report, err = mode.run(w, ctx, o)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if subjects.Unavailable(err) {
		if report == nil {
			report = &subjects.Report{}
		}
		report.Skip(cmp.Or(mode.name, "upstream"), err)
	} else if err != nil {
		return err
	}
	d.LoadAfter, d.Seconds = subjects.Load(), time.Since(begin).Seconds()
	d.Report, d.Verdict, d.Because = report, report.Verdict(), report.Because()
	d.ExitCode = gate.ExitCodes[gate.Verdict(d.Verdict)]
	if asJSON {
		err = printJSON(cmd.OutOrStdout(), d)
	} else {
		err = d.print(cmd.OutOrStdout())
	}
	if err == nil && d.ExitCode != 0 {
		err = &exit{code: d.ExitCode}
	}
	return err
}

// An upstreamDocument is what --json prints. Durations are in nanoseconds.
type upstreamDocument struct {
	head
	Module     string           `json:"module"`
	Version    string           `json:"version"`
	LoadBefore float64          `json:"load_before"` // averages of one minute
	LoadAfter  float64          `json:"load_after"`
	Seconds    float64          `json:"seconds"`
	Verdict    subjects.Verdict `json:"verdict"`
	ExitCode   int              `json:"exit_code"`
	Because    string           `json:"because,omitempty"`
	*subjects.Report
}

// print prints the document for people.
func (d upstreamDocument) print(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, %s, load %.2f before and %.2f after, %.0f s\n", d.Module, d.Version, d.Kernel, d.LoadBefore, d.LoadAfter, d.Seconds)
	for _, table := range d.Tables {
		if len(table.Rows) == 0 {
			continue
		}
		rows := [][]string{table.Columns}
		for _, row := range table.Rows {
			var cells []string
			for _, cell := range row {
				cells = append(cells, cellText(cell))
			}
			rows = append(rows, cells)
		}
		fmt.Fprintf(&b, "\n%s\n", printable(table.Title))
		if err := printTable(&b, rows); err != nil {
			return err
		}
	}
	b.WriteByte('\n')
	for _, lines := range [][]string{d.Notes, d.Skips, d.Short, d.Problems} {
		for _, line := range lines {
			fmt.Fprintln(&b, printable(line))
		}
	}
	if d.Verdict == subjects.Undecided && len(d.Short) == 0 {
		fmt.Fprintln(&b, d.Because)
	}
	fmt.Fprintf(&b, "verdict: %s\n", d.Verdict)
	_, err := io.WriteString(out, b.String())
	return err
}

// cellText is a cell of a report: numbers with commas, durations in one unit.
func cellText(value any) string {
	switch v := value.(type) {
	case int:
		return subjects.Number(v)
	case float64:
		return strconv.FormatFloat(v, 'g', 3, 64)
	case time.Duration:
		unit := time.Microsecond
		for _, larger := range []time.Duration{10 * time.Microsecond, 100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond} {
			if v >= 100*larger {
				unit = larger
			}
		}
		return v.Round(unit).String()
	}
	return printable(fmt.Sprint(value))
}

// mountsVariable says that the process has mounts of its own.
const mountsVariable = "AFTERLOCK_OWN_MOUNTS"

// ownMounts starts the program anew in a mount name space of its own, if root may
// have one: whatever is mounted by this process, or by what it starts, is gone when
// they are, however they end. It is the same process, so that signals find it. Who
// is not root cannot mount.
func ownMounts() error {
	if os.Geteuid() != 0 || os.Getenv(mountsVariable) != "" {
		return os.Unsetenv(mountsVariable)
	}
	runtime.LockOSThread() // exec(2) keeps the name space of the thread that calls it
	defer runtime.UnlockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNS)
	if errors.Is(err, unix.EPERM) {
		return nil // nothing can be mounted, either, and what needs it is skipped
	}
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = syscall.Exec("/proc/self/exe", os.Args, append(os.Environ(), mountsVariable+"=1"))
	}
	return fmt.Errorf("start anew with mounts of its own: %w", err)
}
