//go:build amd64 || arm64

package blackbox

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// errnos are what calls are answered with.
var errnos = []unix.Errno{unix.EIO, unix.ENOSPC, unix.EINTR, unix.EMFILE, unix.EACCES, unix.ESTALE}

// failProgram runs the program once for each of its calls and answers that call
// with the errno, until a run ends before it comes to its k-th call: then no
// fault is left to fire. Every run ends with success or with an error that says
// where and why; once the fault is over, one recovery leaves nothing.
//
// Close is passed over. On Linux it closes whatever it answers, and an answer
// from here would keep it from doing so.
func (c *campaign) failProgram(w *worker, p *program, errno unix.Errno) error {
	faulted, refused := 0, 0
	calls := &sequence{}
	for k := 1; ; k++ {
		outcome, err := c.failCall(w, p, k, errno, calls)
		if err != nil {
			return err
		}
		if !outcome.reached {
			break
		}
		if outcome.fired {
			faulted++
		}
		if outcome.refused {
			refused++
		}
	}
	c.count(func(r *Report) {
		r.Faults += faulted
		r.Refused += refused
	})
	return nil
}

// A faultOutcome is how one run with a fault went.
type faultOutcome struct {
	reached bool // there is a k-th call
	fired   bool // and it was answered with the errno
	refused bool // the program reported an error

	call, answer string // for people
}

// failCall is one of these runs. Up to the fault its calls are those of the others.
func (c *campaign) failCall(w *worker, p *program, k int, errno unix.Errno, calls *sequence) (outcome faultOutcome, err error) {
	how := killed(p, k)
	how.Steps[0].How = unix.ErrnoName(errno)
	if err := w.prepare(p.scene); err != nil {
		return outcome, err
	}
	d, err := w.begin(p)
	if err != nil {
		return outcome, err
	}
	descriptors, here, made := 0, "", 0
	for i := 1; d.busy(); i++ {
		made = i
		if i == 1 {
			descriptors = d.descriptors()
		}
		if i <= k {
			c.problems(how, calls.next(i, d.at.call.name))
		}
		if i == k {
			outcome.reached = true
			here = w.super.resolve(d.at).String()
			if outcome.fired = d.at.call.number != unix.SYS_CLOSE; outcome.fired {
				if err := w.super.fail(d, errno); err != nil {
					return outcome, err
				}
				continue
			}
		}
		if err := w.super.step(d); err != nil {
			return outcome, err
		}
	}
	if !outcome.reached {
		c.problems(how, calls.end(made))
	}
	if p.serves && d.idle() {
		if now := d.descriptors(); now > descriptors+p.spareDescriptors {
			c.problem(how, fmt.Sprintf("%s left %d descriptors open after %s at %s", p.name, now-descriptors, unix.ErrnoName(errno), here))
			defer w.kill(d)
		}
	}
	answer, ok, err := w.end(d)
	if err != nil {
		return outcome, err
	}
	outcome.refused, outcome.call, outcome.answer = !ok, here, answer
	if !ok && !saysWhereAndWhy(answer, w.scene, errno) {
		c.problem(how, fmt.Sprintf("%s at %s: the error does not say where and why: %q", unix.ErrnoName(errno), here, answer))
	}
	disk, err := w.look()
	if err != nil {
		return outcome, err
	}
	c.problems(how, p.judge(disk, false, ok))
	if p.store != "" && !ok {
		c.problems(how, p.judgeEffect(answer, disk))
	}
	return outcome, c.finishScene(w, p, how, disk, ok)
}

// saysWhereAndWhy reports whether an error names a path of the scene and the reason.
func saysWhereAndWhy(answer, scene string, errno unix.Errno) bool {
	return strings.Contains(answer, scene) && strings.Contains(answer, errno.Error())
}

// descriptors is how many the process has open.
func (p *process) descriptors() int {
	dir, err := os.Open("/proc/" + strconv.Itoa(p.pid) + "/fd")
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	return len(names)
}
