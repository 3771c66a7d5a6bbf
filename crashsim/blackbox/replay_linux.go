//go:build amd64 || arm64

package blackbox

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Replay repeats what a problem's spec says, the part after "box:", shows every
// call, and returns how many problems there are. The error says that the spec
// cannot be read or run. The specs are
//
//	kill/PROGRAM/K/J...          the program is killed before its K-th call, the
//	                             recovery before its J-th change, and so on;
//	                             +J: before its J-th call
//	fail/PROGRAM/K/ERRNO         the K-th call is answered with the errno
//	sched/CONTEST/LETTERS        the schedule; see letters
func Replay(ctx context.Context, spec string, out io.Writer) (problems int, err error) {
	return (&campaign{Options: Options{Workers: 1, Deep: true}}).replay(ctx, spec, out)
}

func (c *campaign) replay(ctx context.Context, spec string, out io.Writer) (problems int, err error) {
	parts := strings.Split(spec, "/")
	if len(parts) < 3 {
		return 0, badSpec(spec)
	}
	err = c.in(func(dir string) error {
		if err := c.openWorkers(dir); err != nil {
			return err
		}
		w := c.workers[0]
		var err error
		switch parts[0] {
		case "kill":
			err = c.replayKill(w, parts[1], parts[2:], out)
		case "fail":
			err = c.replayFail(w, parts[1], parts[2:], out)
		case "sched":
			err = c.replaySchedule(w, parts[1], parts[2], out)
		default:
			err = badSpec(spec)
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

func badSpec(spec string) error {
	return fmt.Errorf("box:%s: expected kill/PROGRAM/K, fail/PROGRAM/K/ERRNO or sched/CONTEST/LETTERS", spec)
}

func findProgram(name string) (*program, error) {
	for _, p := range append(programs(), planted()...) {
		if p.name == name {
			return &p, nil
		}
	}
	return nil, fmt.Errorf("no program %q", name)
}

// replayKill kills the program, then one recovery after another, and lets the
// last recovery finish.
func (c *campaign) replayKill(w *worker, name string, at []string, out io.Writer) error {
	p, err := findProgram(name)
	if err != nil {
		return err
	}
	if err := w.prepare(p.scene); err != nil {
		return err
	}
	disk := p.scene
	for i, number := range at {
		k, err := strconv.Atoi(number)
		if err != nil || k < 1 {
			return fmt.Errorf("invalid number of a call: %q", number)
		}
		super := w.changes
		if strings.HasPrefix(number, "+") {
			super = w.super
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
		c.problems("kill/"+name+"/"+strings.Join(at, "/"), p.judge(disk, !killed, ok && i == 0))
		if !killed {
			break
		}
	}
	return c.finishScene(w, p, "kill/"+name+"/"+strings.Join(at, "/"), disk, false)
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

func (c *campaign) replayFail(w *worker, name string, rest []string, out io.Writer) error {
	p, err := findProgram(name)
	if err != nil {
		return err
	}
	if len(rest) != 2 {
		return badSpec("fail/" + name + "/" + strings.Join(rest, "/"))
	}
	k, err := strconv.Atoi(rest[0])
	if err != nil || k < 1 {
		return fmt.Errorf("invalid number of a call: %q", rest[0])
	}
	for errno := unix.Errno(1); errno < 200; errno++ {
		if unix.ErrnoName(errno) != rest[1] {
			continue
		}
		outcome, err := c.failCall(w, p, k, errno, &sequence{})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s at call %d, %s: %s\n", p.name, rest[1], k, outcome.call, outcome.answer)
		return nil
	}
	return fmt.Errorf("no errno %q", rest[1])
}

func (c *campaign) replaySchedule(w *worker, name, schedule string, out io.Writer) error {
	contest, err := findContest(name)
	if err != nil {
		return err
	}
	_, problems, err := w.playString(contest, schedule, func(letter byte, call string) {
		fmt.Fprintf(out, "%c  %s\n", letter, call)
	})
	c.problems("sched/"+name+"/"+schedule, problems)
	return err
}
