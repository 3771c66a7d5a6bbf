package trace

import (
	"cmp"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/kernel"
)

// moved returns the trace with the event at index i moved to index j, and
// tickets that count from 0.
func moved(t *Trace, i, j int) *Trace {
	events := slices.Clone(t.Events)
	e := events[i]
	events = slices.Insert(slices.Delete(events, i, i+1), j, e)
	for n := range events {
		events[n].Ticket = uint64(n)
	}
	return &Trace{Files: t.Files, Events: events}
}

func verdictOf(t *testing.T, trace *Trace) (Verdict, string) {
	t.Helper()
	report, err := Validate(t.Context(), trace)
	require.NoError(t, err)
	return report.Verdict, strings.Join(report.Problems, "\n")
}

// One event of a real trace is moved, at random. What follows from that:
//
//   - across another event of its process: no process makes its calls so. Always
//     rejected.
//   - a call earlier or a return later: the call may take effect at more points
//     than before. Never rejected, and rightly so: what was possible still is.
//   - a call later or a return earlier: the call may take effect at fewer points.
//     Rejected if the others saw that it was one of those that are lost; calls
//     are short, so that is rare (testdata/busy-bad.txt is one). Otherwise a point
//     is left that explains all that was seen, and the moved trace is as good as
//     the real one.
func TestOneEventMoved(t *testing.T) {
	trace := run{creators: 2, recoverers: 2, turns: 15, orphans: true, below: func(k kernel.Kernel) kernel.Kernel {
		return kernel.Around(named{k}, yields{})
	}, above: yielding}.record(t)
	trace.Events = trace.Events[:min(len(trace.Events), 4000)]
	verdict, text := verdictOf(t, trace)
	require.Equal(t, Valid, verdict, text)
	moves := 1000
	if testing.Short() {
		moves = 200
	}
	rng := rand.New(rand.NewPCG(1, 1))
	type row struct{ moves, rejected int }
	rows := make(map[string]*row)
	const across, wider, narrower = "across an event of its own process", "wider", "narrower"
	for n := range moves {
		i := rng.IntN(len(trace.Events))
		e := &trace.Events[i]
		if e.Kind != Call && e.Kind != Return {
			continue
		}
		// The neighbours among the process's own events.
		before, after := i-1, i+1
		for before >= 0 && trace.Events[before].Process != e.Process {
			before--
		}
		for after < len(trace.Events) && trace.Events[after].Process != e.Process {
			after++
		}
		j, class := rng.IntN(len(trace.Events)), across
		switch {
		case n%4 == 1: // as wide as can be
			if j = before + 1; e.Kind == Return {
				j = after - 1
			}
		case n%4 > 1: // as narrow as can be
			if j = after - 1; e.Kind == Return {
				j = before + 1
			}
		}
		switch {
		case i == j:
			continue
		case j <= before || j >= after:
		case (e.Kind == Call) == (j < i):
			class = wider
		default:
			class = narrower
		}
		verdict, text := verdictOf(t, moved(trace, i, j))
		if rows[class] == nil {
			rows[class] = &row{}
		}
		rows[class].moves++
		switch {
		case verdict == Invalid:
			rows[class].rejected++
			assert.NotEmpty(t, text)
			assert.NotEqual(t, wider, class, "event %d to %d: %s", i, j, text)
		default:
			assert.NotEqual(t, across, class, "event %d to %d", i, j)
		}
	}
	for class, r := range rows {
		t.Logf("%-36s %4d moves, %4d rejected", class, r.moves, r.rejected)
		assert.Positive(t, r.moves, class)
	}
	require.Len(t, rows, 3)
}

// yields lets others run around every call, so that calls overlap.
type yields struct{}

// yielding is a kernel of which every call yields.
func yielding(k kernel.Kernel) kernel.Kernel { return kernel.Around(k, yields{}) }

func (yields) Before(*kernel.Call) error { runtime.Gosched(); return nil }
func (yields) After(*kernel.Call)        { runtime.Gosched() }

// A call that is made before the one that it depends on: both of its events
// moved. Every one is rejected.
func TestCallsInAnotherOrderAreRejected(t *testing.T) {
	trace := run{creators: 2, recoverers: 2, turns: 10, orphans: true}.record(t)
	trace.Events = trace.Events[:min(len(trace.Events), 3000)]
	most := 200
	if testing.Short() {
		most = 60
	}
	x, err := extract(trace)
	require.NoError(t, err)
	commute := []opKind{opRemoveEntry, opStage, opStageMissing, opCommit}
	swaps := 0
all:
	for _, p := range x.order {
		for _, s := range p.sessions {
			var ops []op
			for _, o := range p.ops {
				if o.session == s && o.kind != opSawLock && o.kind != opSawData {
					ops = append(ops, o)
				}
			}
			slices.SortFunc(ops, func(a, b op) int { return cmp.Compare(a.call, b.call) })
			for i := 1; i < len(ops); i++ {
				first, second := ops[i-1], ops[i]
				if second.ret == never || slices.Contains(commute, first.kind) && first.kind == second.kind {
					continue
				}
				if swaps == most {
					break all
				}
				swaps++
				at := eventAt(trace, first.call)
				// First the return to the place, then the call before it.
				one := moved(trace, eventAt(trace, second.ret), at)
				two := moved(one, eventAt(trace, second.call)+1, at)
				verdict, text := verdictOf(t, two)
				assert.Equal(t, Invalid, verdict, "%q before %q, ticket %d", opTexts[second.kind], opTexts[first.kind], first.call)
				assert.NotEmpty(t, text)
			}
		}
	}
	assert.Greater(t, swaps, 50)
	t.Log(swaps, "calls moved before another, all rejected")
}

// One event of a real trace is moved: a name that a listing showed, and that the
// process then acted on, into the listing before. Every one is rejected: the
// process acts on what it has not seen, or saw what was not there.
func TestNameMovedToTheListingBefore(t *testing.T) {
	moves := 0
	for i := 0; i < attempts && moves == 0; i++ {
		moves = moveNames(t, run{creators: 2, recoverers: 2, turns: 10, orphans: true, above: yielding}.record(t))
	}
	assert.Positive(t, moves)
	t.Log(moves, "names moved, all rejected")
}

// moveNames moves names of the trace and returns how many.
func moveNames(t *testing.T, trace *Trace) (moves int) {
	trace.Events = trace.Events[:min(len(trace.Events), 3000)]
	for i := range trace.Events {
		e := &trace.Events[i]
		if e.Kind != Found || e.Name != LockName || moves == 100 || !actsOn(trace, i) {
			continue
		}
		j, listings := i, 0 // to the call of the List of the listing before
		for ; j >= 0 && (listings == 0 || trace.Events[j].Kind != Call || trace.Events[j].Method != kernel.List || trace.Events[j].Process != e.Process); j-- {
			if other := &trace.Events[j]; other.Process == e.Process && other.Kind == Call && other.Name == RootName {
				listings++
			}
		}
		if j < 0 {
			continue
		}
		// The last List of a listing shows nothing; a name in it is as good.
		moves++
		verdict, text := verdictOf(t, moved(trace, i, j+1))
		assert.Equal(t, Invalid, verdict, "event %d to %d", i, j+1)
		assert.Contains(t, text, `is false`)
		if moves == 1 {
			t.Log("\n" + text)
		}
	}
	return moves
}

// actsOn says whether the process opens the lock file that event i showed,
// before it lists again, and the call returns.
func actsOn(t *Trace, i int) bool {
	found := &t.Events[i]
	opening := false
	for _, e := range t.Events[i+1:] {
		switch {
		case e.Process != found.Process:
		case e.Kind == Call && e.Name == RootName:
			return false
		case e.Kind == Call && e.Method == kernel.OpenLock && e.ID == found.ID:
			opening = true
		case e.Kind == Return && opening:
			return true
		}
	}
	return false
}
