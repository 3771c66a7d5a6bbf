//go:build linux

package tempdir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
)

const (
	// gatherEntries is how many entries of a directory are listed before they are
	// removed, in the order of their inodes then: ext4 lists in the order of hashes. It
	// bounds what all levels of a walk have listed, but for a batch of each, and keptEntries
	// the memory that is kept for the next directory at the same depth.
	gatherEntries = 8192
	keptEntries   = 1024

	// countedAtOnce are between two looks at the clock, and a slice is how long a number
	// of workers is tried, unless it turns out to be far slower before.
	countedAtOnce = 64
	slice         = 10 * time.Millisecond
	shortSlice    = slice / 4
)

// A crew is what the walks that remove one tree have in common, and the workers, that
// is goroutines, which go on with them.
//
// The first walk begins alone. Where the pace wants one more worker, a walk lends half
// of the directories of its shallowest level to a new walk, for a new worker, and later
// waits for it before it ends that level. What waits or was laid down is no worker's
// until another one ends a walk and goes on with it; so no worker ever sleeps.
//
// Each walk has descriptors of its own, but the lender's for the levels above. These
// stay as they are: a level with walks below it is neither listed from the start
// nor closed. So the walks have at most one path of levels open for each worker.
type crew struct {
	root    *Root
	kernel  kernel.Kernel
	meter   *meter
	op      string
	name    string          // of the data directory
	ctx     context.Context // of the call that all of this is done in
	hoisted atomic.Uint64   // number of the next hoisted directory
	want    atomic.Int32    // workers to be hired; negative: to leave
	helpers sync.WaitGroup  // the workers but the caller

	mu       sync.Mutex
	left     LeftoverError
	walks    []*removal // that are not at their end
	laid     []*removal // of these, what a worker laid down
	spare    []*removal // at their end: their memory
	workers  int
	pace     pace
	counted  int           // names removed in this slice
	since    time.Time     // when it began
	lasts    time.Duration // how long, at least: the first one is what was removed alone
	stopped  bool
	panicked any // of a helper
}

// A lent is what a level is told of the directories it lent. Guarded by the crew.
type lent struct {
	walks                   int // not at their end
	removed, failed, raised bool
	waiting                 *removal
}

func newCrew(r *Root, op, name string, m *meter) *crew {
	c := &crew{
		root: r, kernel: r.kernel, meter: m, op: op, name: name,
		left:    LeftoverError{Op: op, Path: r.join(name)},
		pace:    newPace(cmp.Or(m.workers, r.options.workers)),
		counted: r.options.alone - countedAtOnce, // when it is counted for the first time
		since:   r.options.now(),
	}
	if r.options.eager {
		c.pace.workers = c.pace.most
	}
	c.employ(1)
	return c
}

// run goes on with the first walk until the tree is removed, as far as it can be, or
// the context is done. No other goroutine is left then, nor after a panic.
func (c *crew) run(first *removal) {
	done := false
	defer func() {
		if !done {
			c.stop(nil)
		}
		c.helpers.Wait()
		if done && c.panicked != nil {
			panic(c.panicked)
		}
	}()
	if c.root.options.idle {
		c.helpers.Add(1)
		go c.help(first) // on a thread of its own, too
	} else {
		c.work(first)
	}
	done = true
}

// errEnded is what the caller panics of where a call ended another goroutine (runtime.Goexit).
var errEnded any = errors.New("a call ended its goroutine")

// help is work in a goroutine of its own. A panic is the caller's.
func (c *crew) help(v *removal) {
	c.root.options.background()
	done := false
	defer c.helpers.Done()
	defer func() {
		if !done {
			met := cmp.Or(recover(), errEnded)
			c.stop(nil)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.panicked = cmp.Or(c.panicked, met) // of several the first
		}
	}()
	c.work(v)
	done = true
}

// work goes on with the walk, and then with others as long as there are any for this
// worker.
func (c *crew) work(v *removal) {
	for v != nil {
		v = c.walk(v)
	}
}

// walk goes on with one walk. It returns what to go on with then.
func (c *crew) walk(v *removal) (next *removal) {
	for len(v.levels) > v.base || len(v.borrowed) > 0 {
		if err := c.ctx.Err(); err != nil {
			c.stop(&Error{Op: c.op, Path: c.left.Path, Err: err})
		}
		switch want := c.want.Load(); {
		case want > 0:
			c.lend(v)
		case want < 0 && c.leave(v):
			return nil
		}
		if last := len(v.borrowed) - 1; len(v.levels) == v.base {
			name := v.borrowed[last]
			v.borrowed = v.borrowed[:last]
			v.descend(v.base-1, name)
		} else if v.step() {
			return c.next()
		}
		if v.due <= 0 {
			v.due, v.gather = countedAtOnce, gatherEntries
			c.count()
			// Or the runtime, which sees one goroutine for more than 10 ms, takes the
			// processor from it in one system call after another, 20 µs apart.
			runtime.Gosched()
		}
	}
	return c.end(v)
}

// next is what a worker without a walk goes on with; nil: it is none any more.
func (c *crew) next() *removal {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nextLocked()
}

func (c *crew) nextLocked() (next *removal) {
	if n := len(c.laid); n > 0 && !c.stopped {
		next, c.laid = c.laid[n-1], c.laid[:n-1]
		return next
	}
	c.employ(c.workers - 1)
	return nil
}

// employ says how many workers there are now.
func (c *crew) employ(workers int) {
	c.workers = workers
	want := int32(c.pace.workers - workers)
	if c.stopped {
		want = math.MinInt32
	}
	c.want.Store(want)
}

// leave lays the walk down if there are too many workers.
func (c *crew) leave(v *removal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want.Load() >= 0 {
		return false
	}
	c.laid = append(c.laid, v)
	c.employ(c.workers - 1)
	return true
}

// stop makes every worker leave. err is why, if the caller is to be told.
func (c *crew) stop(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && !c.stopped {
		c.left.add(err)
	}
	c.stopped = true
	c.employ(c.workers)
}

// lend hires a worker: for what was laid down, or for half of the directories in the
// shallowest level of the walk that has some, unless it has nothing else left.
func (c *crew) lend(v *removal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.want.Load() <= 0 {
		return
	}
	if len(c.laid) > 0 {
		c.hire(c.nextLocked())
		return
	}
	if n := len(v.borrowed); n > 1 || n == 1 && len(v.levels) > v.base {
		lends, left := halve(v.borrowed)
		v.borrowed = left
		c.hire(c.below(v.levels[:v.base], v.to, lends))
		return
	}
	for i := v.base; i < len(v.levels); i++ {
		l := &v.levels[i]
		if l.dirs == 0 || len(l.entries) == 1 && i == len(v.levels)-1 {
			continue
		}
		if l.lent == nil {
			l.lent = new(lent)
		}
		c.hire(c.below(v.levels[:i+1], l.lent, l.take()))
		return
	}
}

// take takes half of the directories out of what is left of the batch, and one at least.
func (l *level) take() (names []string) {
	taken, left := halve(l.entries[len(l.entries)-l.dirs:])
	l.entries, l.dirs = l.entries[:len(l.entries)-len(taken)], len(left)
	for _, dir := range slices.Backward(taken) { // the last one is the first to be removed
		names = append(names, dir.Name)
	}
	return names
}

// halve takes every second one out, the first one to begin with: so two walks go on beside
// each other. What is left is where all were.
func halve[T any](all []T) (taken, left []T) {
	left = all[:0]
	for i, one := range all {
		if i%2 == 0 {
			taken = append(taken, one)
		} else {
			left = append(left, one)
		}
	}
	return taken, left
}

func (c *crew) hire(v *removal) {
	c.employ(c.workers + 1)
	c.helpers.Add(1)
	go c.help(v)
}

// below is a new walk below the levels of another one, for directories in the last of them.
func (c *crew) below(levels []level, to *lent, borrowed []string) *removal {
	v := new(removal)
	if n := len(c.spare); n > 0 {
		v, c.spare = c.spare[n-1], c.spare[:n-1]
	}
	*v = removal{crew: c, levels: v.levels[:0], base: len(levels), borrowed: borrowed, to: to, gather: gatherEntries, due: countedAtOnce}
	for _, l := range levels {
		v.push(l.fd, l.name)
	}
	to.walks++
	c.walks = append(c.walks, v)
	return v
}

// end ends a walk. The worker goes on with the lender, if that waits for this one alone.
func (c *crew) end(v *removal) (next *removal) {
	v.tally()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.walks = slices.DeleteFunc(c.walks, func(w *removal) bool { return w == v })
	to := v.to
	if to == nil {
		return c.nextLocked() // nobody is left
	}
	c.spare = append(c.spare, v)
	c.counted += countedAtOnce - v.due
	above := &v.levels[v.base-1]
	to.walks--
	to.removed = to.removed || above.removed
	to.failed = to.failed || above.failed
	to.raised = to.raised || v.raised
	if next = to.waiting; next == nil || to.walks > 0 || c.stopped {
		return c.nextLocked()
	}
	to.waiting = nil
	return next
}

// collect takes over what became of the directories that the level lent. It reports
// false if one is not removed yet: then the walk is no longer the caller's.
func (v *removal) collect(top int) bool {
	l := &v.levels[top]
	if l.lent == nil {
		return true
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if l.lent.walks > 0 {
		l.lent.waiting = v
		return false
	}
	l.removed = l.removed || l.lent.removed
	l.failed = l.failed || l.lent.failed
	if l.lent.raised {
		v.levels[0].removed, v.levels[0].scans, v.raised = true, 0, true
	}
	l.lent = nil
	return true
}

// arrange makes a batch ready: what is no directory comes first, in the order of the inodes
// if it was gathered for that, and the directories after it, the last one first.
//
// They keep the order in which they are listed since xfs makes directories in one group of
// inodes after the other, and ends removals in the background, group by group: in the order
// of the inodes a walk and the kernel's thread, or two walks, would be in the same one. On
// btrfs two walks are faster than one if they go downwards. See docs/speed.md.
func (v *removal) arrange(l *level) {
	dirs, n := v.dirs[:0], 0
	for _, entry := range l.entries {
		if entry.Type == fs.ModeDir {
			dirs = append(dirs, entry)
		} else {
			l.entries[n] = entry
			n++
		}
	}
	if v.gather > 1 {
		slices.SortFunc(l.entries[:n], func(a, b kernel.Entry) int { return cmp.Compare(a.Inode, b.Inode) })
	}
	slices.Reverse(dirs)
	copy(l.entries[n:], dirs)
	l.dirs, v.dirs = len(dirs), nil
	if cap(dirs) <= keptEntries {
		v.dirs = dirs
	}
}

// shrink leaves the rest to one worker, because descriptors ran out. It reports false
// if other walks have none.
func (c *crew) shrink() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	others := len(c.walks) > 1
	c.pace = newPace(1)
	c.employ(c.workers)
	return others
}

// count counts what was removed, and ends a slice of time: the pace says how many workers there
// are in the next one.
func (c *crew) count() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.root.options.now()
	c.counted += countedAtOnce
	took := now.Sub(c.since)
	rate := float64(c.counted) / max(took, 1).Seconds()
	if took < c.lasts && (took < shortSlice || !c.pace.hopeless(rate)) {
		return
	}
	if c.workers == c.pace.workers { // else nothing is learned
		c.pace.next(rate)
		c.employ(c.workers)
	}
	c.counted, c.since, c.lasts = 0, now, slice
}

// closeAll closes what walks have open that did not come to their end.
func (c *crew) closeAll() {
	for _, v := range c.walks {
		for _, l := range v.levels[v.base:] {
			c.kernel.Close(l.fd)
		}
	}
}
