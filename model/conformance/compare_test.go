//go:build linux

package conformance

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/tempdir"
)

// What is seen and is not in the state is a difference, whichever way.
func TestWhatDiffersIsTold(t *testing.T) {
	for _, tt := range []struct {
		change func(w *world, p *process, to *model.State)
		want   string // "": nothing
	}{
		{func(*world, *process, *model.State) {}, ""},
		{func(w *world, _ *process, _ *model.State) { w.seen.files[1] = 1 }, "v1 has 1 files on disk, and 0 in the specification"},
		{func(_ *world, _ *process, to *model.State) { to.Tree[1] = 1 }, "v1 has 0 files on disk, and 1 in the specification"},
		{func(w *world, _ *process, _ *model.State) { w.seen.place[1] = model.Home }, "v1 is at home on disk, and absent in the specification"},
		{func(w *world, _ *process, _ *model.State) { w.seen.data[1] = 7 }, "temp-dir-i1 exists: true on disk, false in the specification"},
		{func(w *world, _ *process, _ *model.State) { w.seen.lock[1] = 7 }, "lock-i1 is inode 7 on disk, and file 0 (inode 0) in the specification"},
		{func(w *world, _ *process, _ *model.State) { w.seen.foreign = []string{"x"} }, `"x" is on disk, and not in the specification`},
		{func(_ *world, p *process, _ *model.State) { p.open = nil }, "p has 0 descriptors open, and needs 1"},
		{func(_ *world, p *process, _ *model.State) { p.open = append(p.open, descriptor{Fd: 4}) }, "p has 2 descriptors open, and needs 1"},
		{func(_ *world, _ *process, to *model.State) { to.PC[1] = model.Live }, `p is at between operations, without an instance, and at "live" in the specification`},
	} {
		w := &world{}
		w.itemNames[1] = "v1"
		p := &process{name: "p", number: 1, lock: -1, at: stop{Place: atIdle}, open: []descriptor{{Fd: 3}}}
		s := &scheduler{config: &model.Config{ID: []string{"i1"}}, world: w, procs: []*process{nil, p}}
		to := &model.State{}
		tt.change(w, p, to)
		err := s.differences(to)
		if tt.want == "" {
			assert.NoError(t, err)
			continue
		}
		assert.EqualError(t, err, tt.want, tt.want)
	}
}

func TestWhatCallersAreTold(t *testing.T) {
	told := &unmatched{}
	for _, tt := range []struct {
		err   error
		wants []error
		bad   bool
	}{
		{nil, nil, false}, {unix.EIO, []error{unix.EIO}, false}, {errors.Join(told, unix.EIO), []error{unix.EIO}, false},
		{nil, []error{unix.EIO}, true}, {unix.EIO, nil, true}, {told, []error{unix.EIO}, true}, {unix.EIO, []error{unix.EIO, told}, true},
	} {
		p := &process{}
		p.judge(tt.err, tt.wants)
		assert.Equal(t, tt.bad, p.bad != "", "%v for %v: %s", tt.err, tt.wants, p.bad)
	}
	result := func(outcome tempdir.Outcome, adopted bool) tempdir.Report {
		return tempdir.Report{Results: []tempdir.Result{{ID: "1", Outcome: outcome, Adopted: adopted}}}
	}
	for _, tt := range []struct {
		report tempdir.Report
		good   bool
	}{
		{result(tempdir.Recovered, true), true}, {result(tempdir.Recovered, false), false}, {result(tempdir.Skipped, false), false},
		{tempdir.Report{}, false}, {tempdir.Report{Results: result(tempdir.Recovered, true).Results, Foreign: []string{"x"}}, false},
	} {
		p := &process{expected: tempdir.Recovered, adopts: true}
		p.judgeReport("1", tt.report)
		assert.Equal(t, tt.good, p.bad == "", "%+v: %s", tt.report, p.bad)
	}
}

type unmatched struct{}

func (*unmatched) Error() string { return "told" }
