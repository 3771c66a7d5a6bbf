//go:build amd64 || arm64

package blackbox

import (
	"context"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/schedule"
)

// kind is that of the schedules of this package. Their programs are the name of
// one here, whose process is A and whose recoveries are B and so on; or that of a
// contest, with its [letters].
const kind = "box"

// killed is how the program is killed before its call path[0], a recovery before
// its change path[1], and so on.
func killed(p *program, path ...int) *schedule.Schedule {
	s := &schedule.Schedule{Kind: kind, Program: p.name}
	for i, k := range path {
		s.Steps = append(s.Steps, schedule.Step{Process: 'A' + byte(i), Count: k - 1, Changes: i > 0, End: schedule.Stopped})
	}
	return s
}

// played is how a contest was played.
func played(c *contest, letters []byte) *schedule.Schedule {
	return &schedule.Schedule{Kind: kind, Program: c.name, Steps: schedule.FromLetters(letters, schedule.ToEnd)}
}

func (m *match) schedule() *schedule.Schedule { return played(m.contest, m.played) }

// Replay repeats what was printed with a problem, in a directory, shows every call, and returns
// how many problems there are. The error says that the schedule cannot be read or
// played.
func Replay(ctx context.Context, text, dir string, out io.Writer) (problems int, err error) {
	return (&campaign{Options: Options{Dir: dir, Workers: 1, Deep: true}}).replay(ctx, text, out)
}

func (c *campaign) replay(ctx context.Context, text string, out io.Writer) (problems int, err error) {
	how, err := schedule.Parse(text)
	if err != nil {
		return 0, err
	}
	p, contest := findProgram(how.Program), findContest(how.Program)
	if how.Kind != kind || how.World != "" || len(how.Losses) > 0 || p == nil && contest == nil {
		return 0, how.Refuse("expected %s:PROGRAM/STEPS with a program or contest of the black box", kind)
	}
	err = c.in(func(dir string) error {
		if err := c.openWorkers(dir); err != nil {
			return err
		}
		w := c.workers[0]
		var err error
		switch {
		case contest != nil:
			err = c.replaySchedule(w, contest, how, out)
		case len(how.Steps) == 1 && how.Steps[0].How != "":
			err = c.replayFail(w, p, how, out)
		default:
			err = c.replayKill(w, p, how, out)
		}
		if err != nil {
			return err
		}
		for _, problem := range c.report.Problems {
			fmt.Fprintln(out, "problem:", problem)
		}
		if problems = len(c.report.Problems); problems == 0 {
			fmt.Fprintln(out, "nothing is wrong")
		}
		return nil
	})
	return problems, err
}

// findProgram is the program of the name, or nil.
func findProgram(name string) *program {
	for _, p := range programs() {
		if p.name == name {
			return &p
		}
	}
	return nil
}

// replayKill kills the program, then one recovery after another, and lets the
// last recovery finish.
func (c *campaign) replayKill(w *worker, p *program, how *schedule.Schedule, out io.Writer) error {
	if err := w.prepare(p.scene); err != nil {
		return err
	}
	disk := p.scene
	for i, step := range how.Steps {
		if step.Process != 'A'+byte(i) || step.End != schedule.Stopped || step.How != "" || i == 0 && step.Changes {
			return how.Refuse("step %d, %v: expected A7!, killed after seven calls, then recoveries such as B7!, or B7c! after seven changes", i+1, step)
		}
		k := step.Count + 1
		super := w.super
		if step.Changes {
			super = w.changes
		}
		begin := func() (*process, error) { return w.recoverer(p, super) }
		who := fmt.Sprintf("recovery %d", i)
		if i == 0 {
			begin, who = func() (*process, error) { return w.begin(p) }, p.name
		}
		d, err := begin()
		if err != nil {
			return err
		}
		killed, ok, err := c.showUntil(w, d, who, k, out)
		if err != nil {
			return err
		}
		if disk, err = w.look(); err != nil {
			return err
		}
		fmt.Fprintf(out, "on disk:\n%s\n", indent(disk.text()))
		c.problems(how, p.judge(disk, !killed, ok && i == 0))
		if !killed {
			break
		}
	}
	return c.finishScene(w, p, how, disk, false)
}

// showUntil runs the process to its k-th call and kills it there. If the process
// ended before, killed is false and ok says whether it reported success.
func (c *campaign) showUntil(w *worker, d *process, who string, k int, out io.Writer) (killed, ok bool, err error) {
	for i := 1; d.busy(); i++ {
		fmt.Fprintf(out, "%s: call %d: %s\n", who, i, d.super.resolve(d.at).String())
		if i == k {
			fmt.Fprintf(out, "%s: killed before call %d\n", who, i)
			w.kill(d)
			return true, false, nil
		}
		if err := d.super.step(d); err != nil {
			return false, false, err
		}
	}
	answer, ok, err := w.end(d)
	fmt.Fprintf(out, "%s: %s\n", who, answer)
	return false, ok, err
}

func indent(text string) string { return "  " + strings.ReplaceAll(text, "\n", "\n  ") }

func (c *campaign) replayFail(w *worker, p *program, how *schedule.Schedule, out io.Writer) error {
	step := how.Steps[0]
	for errno := unix.Errno(1); errno < 200; errno++ {
		if unix.ErrnoName(errno) != step.How || step.Process != 'A' || step.Changes {
			continue
		}
		outcome, err := c.failCall(w, p, step.Count+1, errno, &sequence{})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s at call %d, %s: %s\n", p.name, step.How, step.Count+1, outcome.call, outcome.answer)
		return nil
	}
	return how.Refuse("step %v: expected A7!EIO or another errno", step)
}

func (c *campaign) replaySchedule(w *worker, contest *contest, how *schedule.Schedule, out io.Writer) error {
	letters, err := how.Letters(schedule.ToEnd)
	if err != nil {
		return err
	}
	_, problems, err := w.playString(contest, string(letters), func(letter byte, call string) {
		fmt.Fprintf(out, "%c  %s\n", letter, call)
	})
	c.problems(how, problems)
	return err
}
