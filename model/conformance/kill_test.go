//go:build linux

package conformance

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// The kernel does what a crash of a logical process takes for granted.
func TestTheKernelClosesWhatTheKilledHadOpen(t *testing.T) {
	kills := 40
	if testing.Short() {
		kills = 10
	}
	for _, name := range []string{"GateRefinementFallback", "GateOrphan"} {
		r, err := Kill(context.Background(), Options{Model: name, Dir: scratch(t)}, kills)
		require.NoError(t, err)
		if d := r.Divergence; d != nil {
			t.Fatalf("%s\n%s", d, d.Schedule)
		}
		assert.EqualValues(t, kills, r.Crashes)
		assert.Greater(t, r.Compared, r.Steps)
		t.Logf("%s: %d crash edges, %d steps in %v", name, r.Walks, r.Steps, r.Elapsed)
	}
}

// An immortal lives on after it was killed.
type immortal struct {
	forkedLibrary
	alive []forked
}

func (i *immortal) kill(p *process) {
	i.alive = append(i.alive, forked{present: i.present})
	i.present, p.lock, p.open = nil, -1, nil
}

// It is seen if it does not.
func TestALockThatOutlivesItsProcessIsSeen(t *testing.T) {
	m := model.Find("GateOrphan")
	g, err := m.Graph(context.Background(), model.Options{})
	require.NoError(t, err)
	seen := 0
	for _, w := range crashWalks(g, g.Edges()) {
		last := len(w) - 1
		state := 0
		for _, k := range w[:last] {
			state = int(g.Out(state)[k].To)
		}
		from, _ := g.State(state)
		s, done, err := open(scratch(t), m)
		require.NoError(t, err)
		victim := s.table[g.Out(state)[w[last]].Action].proc
		// It holds the lock of a file that has a name.
		if n := from.Fd[victim]; n == model.None || from.Holder[n] != victim || !named(&from, n) {
			require.NoError(t, done())
			continue
		}
		p := s.procs[victim]
		i := new(immortal)
		for _, q := range s.procs[1:] {
			q.runner, q.forked = new(forkedLibrary), true
		}
		p.runner = i
		_, _, failure := (&run{m: m, g: g}).walk(s, w)
		assert.ErrorContains(t, failure, "is locked, and not in the specification")
		for _, f := range i.alive {
			f.kill(p)
		}
		p.runner = &i.forkedLibrary
		require.NoError(t, done())
		if seen++; seen == 5 {
			break
		}
	}
	assert.Equal(t, 5, seen)
}
