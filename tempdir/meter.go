//go:build linux

package tempdir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// talliedAtOnce are how many names a walk removes before it tells the meter, so that
	// workers do not meet there for every name.
	talliedAtOnce = 64

	// progressPause is the least time between two reports of progress of one removal.
	progressPause = 100 * time.Millisecond
)

// A meter counts what one removal has unlinked, in all of its walks.
type meter struct {
	options      *options
	op, path     string
	names, bytes atomic.Int64
	often        int64   // names of a walk between two tallies
	workers      int     // at most, 0: see [Workers]
	budget       *budget // of the call of Recover that this is part of; else nil

	mu       sync.Mutex // one report of progress at a time
	told     time.Time  // when the last one was
	panicked any        // of a report
}

// newMeter is the meter of a removal that begins now. Without a path it may turn out to be
// none.
func (r *Root) newMeter(op, path string) *meter {
	m := &meter{options: &r.options, op: op, path: path, often: talliedAtOnce}
	if r.options.progress != nil {
		m.told = r.options.now()
	}
	if r.options.sliceNames > 0 || r.options.sliceBytes > 0 || r.options.rate != nil {
		m.often = 1
	}
	return m
}

// add counts names, and reports the progress if it is time. No mutex of the package but
// the meter's own is held, and that one makes nobody wait.
func (m *meter) add(names, bytes int64) {
	m.names.Add(names)
	m.bytes.Add(bytes)
	if m.budget != nil {
		m.budget.spend(names, bytes)
	}
	if m.options.progress == nil || !m.mu.TryLock() {
		return
	}
	defer m.mu.Unlock()
	if now := m.options.now(); m.panicked == nil && now.Sub(m.told) >= progressPause {
		m.told = now
		m.report(false)
	}
}

// end reports the progress for the last time: all workers have ended, and the lock of
// the instance is free. So a report that panics, now or before, leaves no lock held.
func (m *meter) end() {
	if m.options.progress != nil && m.panicked == nil && m.path != "" {
		m.report(true)
	}
	if m.panicked != nil {
		panic(m.panicked)
	}
}

func (m *meter) report(done bool) {
	defer func() { m.panicked = recover() }()
	m.options.progress(Progress{Op: m.op, Path: m.path, Names: m.names.Load(), Bytes: m.bytes.Load(), Done: done})
}

// A budget bounds one call of [Root.Recover], see [Slice].
type budget struct {
	names, bytes atomic.Int64 // still to be removed
	end          context.CancelCauseFunc
}

// errSliceEnds is the cause of a context that a budget has ended.
var errSliceEnds = errors.New("the slice is at its end")

// newBudget is the budget of a call that begins now, and its context; release frees what
// they hold. Without [Slice] there is no budget, and the context is the caller's.
func (r *Root) newBudget(outer context.Context) (b *budget, ctx context.Context, release func()) {
	o := &r.options
	if o.sliceNames <= 0 && o.sliceBytes <= 0 && o.sliceTime <= 0 {
		return nil, outer, func() {}
	}
	b = new(budget)
	ctx, b.end = context.WithCancelCause(outer)
	b.names.Store(cmp.Or(max(o.sliceNames, 0), math.MaxInt64))
	b.bytes.Store(cmp.Or(max(o.sliceBytes, 0), math.MaxInt64))
	stop := func() bool { return true }
	if o.sliceTime > 0 {
		stop = time.AfterFunc(o.sliceTime, func() { b.end(errSliceEnds) }).Stop
	}
	return b, ctx, func() {
		stop()
		b.end(nil)
	}
}

func (b *budget) spend(names, bytes int64) {
	if b.names.Add(-names) <= 0 || b.bytes.Add(-bytes) <= 0 {
		b.end(errSliceEnds)
	}
}

// admit returns when name, in the level, may be removed by the [Rate], and what is freed
// with it, if that is to be counted.
func (v *removal) admit(top int, name string) (bytes int64) {
	o := v.meter.options
	if o.countBytes && (top >= 0 || v.root.parent) {
		a, err := v.kernel.StatName(v.dir(top), name)
		if err == nil && (a.Links == 1 || a.Mode == fs.ModeDir) { // of several names the last one counts
			bytes = a.Bytes
		}
	}
	if o.rate != nil {
		o.rate.wait(v.ctx, o.now(), bytes)
	}
	return bytes
}

// background makes the calling goroutine's input and output idle for the rest of its life,
// if that is wanted: the thread ends with it.
func (o *options) background() {
	if o.idle {
		const whoProcess, classIdle, classShift = 1, 3, 13
		runtime.LockOSThread()
		_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, classIdle<<classShift)
	}
}

// counted is called for each name in the level that was unlinked.
func (v *removal) counted(top int, bytes int64) {
	if top < 0 && !v.root.parent {
		return // the data directory, which is not the caller's
	}
	v.names++
	v.bytes += bytes
	if v.names >= v.meter.often {
		v.tally()
	}
}

// tally tells the meter what the walk has removed since it did so last. The caller has
// no mutex: a report of progress may take its time.
func (v *removal) tally() {
	v.meter.add(v.names, v.bytes)
	v.names, v.bytes = 0, 0
}
