//go:build linux

package conformance

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/tempdir"
)

// This file judges what callers are told: errors name the errno that the call
// met, and a report of Recover says what happened on the way.

// fails notes that a call of the operation fails, and what the caller's error
// has to match for it.
func (p *process) fails(because ...error) { p.because = because }

// failure is what an error matches after a call failed with an errno.
func failure(m kernel.Method, errno unix.Errno) []error {
	switch {
	case walks(m):
		return []error{errno, tempdir.ErrLeftover}
	case errno == unix.EXDEV:
		return []error{errno, tempdir.ErrCrossDevice}
	}
	return []error{errno}
}

// judge says how what the caller was told differs from what happened.
func (p *process) judge(err error, wants []error) {
	if p.unjudged {
		return
	}
	if (len(wants) > 0) != (err != nil) {
		p.bad = fmt.Sprintf("what failed: %v, and the caller was told: %v", wants, err)
		return
	}
	for _, because := range wants {
		if !errors.Is(err, because) {
			p.bad = fmt.Sprintf("%q failed, and the caller was told: %v", because, err)
		}
	}
}

// expects notes what Recover has to report, or Instances to show, by where a step
// leads.
func (p *process) expects(a *step, from, to *model.State) {
	closing := to.PC[p.number] == model.Closing
	switch {
	case p.creator:
	case p.inspector:
		p.shows = p.seesInspecting(a, from, to)
	case a.Slot == "List":
		p.expected, p.adopts = tempdir.Recovered, to.PC[p.number] == model.SawData
	case a.Slot == "CallFails", a.Slot == "OpenEntry" && closing:
		p.expected = tempdir.Failed
	case a.Slot == "OpenLock" && closing, a.Slot == "StatName" && closing && from.PC[p.number] == model.Taken && !p.adopts:
		p.expected = tempdir.Vanished
	case (a.Slot == "TakeLock" || a.Slot == "LinkLock" || a.Slot == "CreateLock") && closing,
		a.Slot == "StatName" && closing && from.PC[p.number] == model.Taken:
		p.expected = tempdir.Skipped
	}
}

// judgeReport compares a report with what happened to the id that was listed.
func (p *process) judgeReport(id string, r tempdir.Report) {
	if p.unjudged || p.free {
		return
	}
	if len(r.Results) != 1 || r.Results[0].ID != id || len(r.Foreign) > 0 {
		p.bad = fmt.Sprintf("a report about %s: %+v", id, r)
		return
	}
	got := r.Results[0]
	if got.Outcome != p.expected || got.Outcome != tempdir.Failed && got.Adopted != (p.adopts && p.expected == tempdir.Recovered) {
		p.bad = fmt.Sprintf("Recover reports %s (adopted: %t), and it was %s (adopts: %t)", got.Outcome, got.Adopted, p.expected, p.adopts)
	}
}

// seesInspecting is what a listing that looks shows of its id after a step, or 0.
func (p *process) seesInspecting(a *step, from, to *model.State) tempdir.State {
	switch {
	case a.Slot == "CallFails":
		return tempdir.Unknown
	case a.Slot == "LockHolder" && from.Holder[from.Fd[p.number]] != model.None:
		return tempdir.Live
	case a.Slot == "LockHolder":
		return tempdir.Stale
	case a.Slot == "OpenToInspect" && to.PC[p.number] == model.Closing:
		return 0 // gone since it was listed
	}
	return p.shows
}

// judgeInstances compares a listing with what happened to the id that was
// listed, and returns why that could not be read.
func (p *process) judgeInstances(id string, instances []tempdir.Instance) error {
	var got tempdir.Instance
	if len(instances) == 1 {
		got = instances[0]
	}
	if !p.unjudged && !p.free && (len(instances) > 1 || got.State != p.shows || got.State != 0 && got.Name != id) {
		p.bad = fmt.Sprintf("Instances shows %+v, and %s is %v", instances, id, p.shows)
	}
	return got.Err
}

// refuses makes the caller invoke an operation that cannot succeed, and wants it
// refused: its tree, or the whole instance, is not there.
func (p *process) refuses(o order, present bool) error {
	p.free, p.order = true, o
	err := p.resume()
	p.free = false
	if err != nil {
		return err
	}
	want := model.Lost
	if o.Op == opStageDeletion && present {
		want = model.Missing
	}
	if at := p.at; at.Place != atReply || at.Reply != want && !(o.Op == opCommit && at.Committed) {
		return fmt.Errorf("%s is at %s, and should have been told %q", p.name, at, model.PCName(want))
	}
	return p.resume()
}
