//go:build linux

package conformance

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/model"
)

// An immortal process has its lock after it was killed, for good or for so long.
type immortal struct {
	coroutine
	lives time.Duration
	alive []int
}

func (i *immortal) kill(p *process) {
	if p.lock >= 0 {
		fd, err := unix.Dup(p.lock)
		if err == nil && i.lives > 0 {
			time.AfterFunc(i.lives, func() { unix.Close(fd) })
		} else if err == nil {
			i.alive = append(i.alive, fd)
		}
	}
	i.coroutine.kill(p)
}

// A lock that outlives its process is seen, unless it goes in no time: somebody may have
// looked at the descriptor.
func TestALockThatOutlivesItsProcessIsSeen(t *testing.T) {
	defer func(before time.Duration) { patience = before }(patience)
	m := model.Find("GateOrphan")
	g, err := m.Graph(context.Background(), model.Options{})
	require.NoError(t, err)
	seen := 0
	for state := 0; seen < 5; state++ {
		from, _ := g.State(state)
		for k, e := range g.Out(state) {
			victim := model.Proc(0)
			if a := g.Actions[e.Action]; a.Slot == "Crash" {
				table, err := steps(m.Protocol, g.Actions)
				require.NoError(t, err)
				victim = table[e.Action].proc
			}
			// It holds the lock of a file that has a name.
			if n := from.Fd[victim]; victim == 0 || n == model.None || from.Holder[n] != victim || !named(&from, n) {
				continue
			}
			s, done, err := open(scratch(t), m)
			require.NoError(t, err)
			i := &immortal{lives: 10 * time.Millisecond}
			if patience = time.Minute; seen%2 == 0 {
				i.lives, patience = 0, 10*time.Millisecond
			}
			s.procs[victim].runner = i
			_, _, failure := (&run{m: m, g: g, visited: make([]atomic.Bool, g.States())}).walk(s, append(shortest(g, state), uint16(k)))
			if i.lives > 0 {
				assert.NoError(t, failure)
			} else {
				assert.ErrorContains(t, failure, "is locked, and not in the specification")
			}
			for _, fd := range i.alive {
				assert.NoError(t, unix.Close(fd))
			}
			require.NoError(t, done())
			seen++
		}
	}
}
