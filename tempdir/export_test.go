//go:build linux

package tempdir

import (
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// An ErrnoRow is one line of the table of errnos, for tests.
type ErrnoRow struct {
	Call    string
	Errno   unix.Errno
	Meaning string
	Kind    error
	Looks   bool // the kind is told only after a look
}

// ErrnoTable is the table of errnos.
func ErrnoTable() (rows []ErrnoRow) {
	for _, r := range errnoTable {
		rows = append(rows, ErrnoRow{r.call, r.errno, r.meaning.String(), r.kind, r.look != unseen})
	}
	return rows
}

// Limits that tests meet exactly.
const (
	MaxRecord     = kernel.MaxRecord
	HoistAttempts = hoistAttempts
	MaxLeftovers  = maxLeftovers
)

// Limits are the constants that bound something, by name.
var Limits = map[string]int{
	"createAttempts": createAttempts, "stageAttempts": stageAttempts, "hintBytes": hintBytes, "idBytes": idBytes, "maxDepth": maxDepth,
	"idleScans": idleScans, "scans": scans, "hoistAttempts": hoistAttempts, "mountsAtAName": mountsAtAName, "mendings": mendings,
	"remounts": remounts, "sameMounts": sameMounts, "clockGrain": int(clockGrain / time.Millisecond),
}

// Eager makes every removal begin with so many workers, who lend whatever they can.
func Eager(workers int) Option {
	return func(o *options) { o.workers, o.alone, o.eager = workers, 0, true }
}

// Pace is how many workers there are in each of so many slices, if these have the rate,
// and which of the slices are hopeless.
func Pace(most, slices int, rate func(slice, workers int) float64) (workers, hopeless []int) {
	p := newPace(most)
	for slice := range slices {
		workers = append(workers, p.workers)
		r := rate(slice, p.workers)
		if p.hopeless(r) {
			hopeless = append(hopeless, slice)
		}
		p.next(r)
	}
	return workers, hopeless
}

// Lend is what a level lends of these directories, in the order in which they are listed, and
// what is left of them: both in the order in which they are removed.
func Lend(names ...string) (lent, left []string) {
	l := &level{}
	for _, name := range names {
		l.entries = append(l.entries, kernel.Entry{Name: name, Type: fs.ModeDir})
	}
	new(removal).arrange(l)
	lent = l.take()
	slices.Reverse(lent)
	for _, entry := range l.entries {
		left = append(left, entry.Name)
	}
	return lent, left
}

// Slices are how long the slices of a crew are, if so many workers remove 64 names in that time.
func Slices(n int, each func(workers int) time.Duration) (took []time.Duration) {
	now := time.Unix(0, 0)
	clock := func(o *options) { o.now, o.workers, o.alone = func() time.Time { return now }, 2, countedAtOnce }
	r := &Root{options: newOptions([]Option{clock})}
	c := newCrew(r, "", "", r.newMeter("", ""))
	for since := now; len(took) < n; {
		c.workers = c.pace.workers
		now = now.Add(each(c.workers))
		if c.count(); c.since.Equal(now) {
			took, since = append(took, now.Sub(since)), now
		}
	}
	return took
}

// Encode writes an owner record.
func (o Owner) Encode() []byte { return o.encode() }

// HandOn calls begin with the root's mutex held, and gives the mutex up when goroutines
// have waited for it so long (1 ms, see sync.Mutex) that each hands it on to the next
// one before it goes on itself.
func HandOn(r *Root, begin func()) {
	r.mu.Lock()
	begin()
	for since := time.Now(); time.Since(since) < 3*time.Millisecond; {
		r.mu.Unlock()
		r.mu.Lock()
		runtime.Gosched() // to one that meets it locked again
	}
	r.mu.Unlock()
}

// Users calls see with how many use the root, with its mutex held.
func Users(r *Root, see func(n int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	see(r.users)
}

// Unlocked reports whether nobody holds the mutex of a handle.
func Unlocked(handle any) bool {
	mu := &sync.Mutex{}
	switch handle := handle.(type) {
	case *Root:
		mu = &handle.mu
	case *Dir:
		mu = &handle.mu
	}
	if !mu.TryLock() {
		return false
	}
	mu.Unlock()
	return true
}
