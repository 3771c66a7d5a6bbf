//go:build linux

package tempdir_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
)

// A stage is a root on a file system whose stamps are coarse, with actors that take
// turns: what the clock and the calls of each do is one step.
type stage struct {
	now     time.Duration // the clock
	stamp   time.Duration // of the root's last change
	present int           // lock files and data directories in the root
	actors  []*actor
}

const stampGrain = 2 * time.Second

var epoch = time.Unix(1<<30, 0)

// An actor is a goroutine that waits before each of its steps.
type actor struct {
	stage *stage
	turn  chan bool
	done  bool
	looks bool // in MaybeDirty
	seen  int  // what was present at its last Stat of the root
}

func (s *stage) act(script func(a *actor)) {
	a := &actor{stage: s, turn: make(chan bool)}
	s.actors = append(s.actors, a)
	go func() {
		<-a.turn
		script(a)
		a.done = true
		a.turn <- true
	}()
}

// step lets the actor go on to its next step, or to its end.
func (a *actor) step() { a.turn <- true; <-a.turn }

func (a *actor) wait() { a.turn <- true; <-a.turn }

func (a *actor) clock() time.Time {
	a.wait()
	return epoch.Add(a.stage.now)
}

func (a *actor) Before(c *kernel.Call) error {
	switch {
	case c.Method == kernel.Stat && a.looks,
		c.Method == kernel.OpenDirectory && c.Name == ".",
		c.Method == kernel.Close, // of the listing
		c.Method == kernel.LinkLock,
		c.Method == kernel.MakeData && !testing.Short():
		a.wait()
	}
	return nil
}

func (a *actor) After(c *kernel.Call) {
	s := a.stage
	switch c.Method {
	case kernel.LinkLock, kernel.MakeData:
		s.present++
		s.stamp = s.now.Truncate(stampGrain)
	case kernel.Stat:
		if !a.looks {
			return
		}
		c.Attributes.Changed = epoch.Add(s.stamp)
		a.seen = s.present
	}
}

// look is one MaybeDirty: after "no", no instance is there.
func (a *actor) look(root *tempdir.Root, clean *int) error {
	a.looks = true
	dirty, err := root.MaybeDirty()
	a.looks = false
	if err == nil && !dirty {
		*clean++
		if a.seen > 0 {
			err = fmt.Errorf("%d names are there, and nothing to do", a.seen)
		}
	}
	return err
}

// All interleavings of MaybeDirty, Recover, a MaybeDirty by another goroutine, one
// creator and the clock.
func TestHintInEveryInterleaving(t *testing.T) {
	base := testfs.InMemory(t)
	clean, runs := 0, 0
	var choices, sizes []int
	for {
		// One run: the choices so far, then always the first.
		s := &stage{now: 3500 * time.Millisecond, stamp: 2 * time.Second}
		var turn *actor // of the shared root
		hook := &turns{&turn}
		root := openAt(t, base+"/root", kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), hook)),
			kernel.WithClock[tempdir.Option](func() time.Time { return turn.clock() }))
		creatorHook := &turns{new(*actor)}
		other := openAt(t, base+"/root", kernel.With[tempdir.Option](kernel.Around(kernel.Linux(), creatorHook)))
		var dir *tempdir.Dir
		var failure error
		note := func(err error) {
			if err != nil && failure == nil {
				failure = err
			}
		}
		s.act(func(a *actor) {
			note(a.look(root, &clean))
			_, err := root.Recover(background)
			note(err)
			note(a.look(root, &clean))
		})
		s.act(func(a *actor) { note(a.look(root, &clean)) })
		s.act(func(a *actor) { dir = must(other.Create()) })
		s.act(func(a *actor) {
			a.wait()
			s.now += 4 * time.Second
		})
		for _, a := range s.actors { // up to their first steps
			turn, *creatorHook.turn = a, a
			a.step()
		}
		depth := 0
		for {
			var ready []*actor
			for _, a := range s.actors {
				if !a.done {
					ready = append(ready, a)
				}
			}
			if len(ready) == 0 {
				break
			}
			if depth == len(choices) {
				choices, sizes = append(choices, 0), append(sizes, 0)
			}
			sizes[depth] = len(ready)
			turn = ready[choices[depth]]
			*creatorHook.turn = turn
			turn.step()
			depth++
		}
		runs++
		choices, sizes = choices[:depth], sizes[:depth]
		turn, *creatorHook.turn = nil, nil
		require.NoError(t, failure, "%v", choices)
		require.NoError(t, dir.Close(background))
		root.Close()
		other.Close()
		for depth > 0 && choices[depth-1]+1 == sizes[depth-1] {
			depth--
		}
		if depth == 0 {
			break
		}
		choices, sizes = choices[:depth], sizes[:depth]
		choices[depth-1]++
	}
	t.Log(runs, "interleavings,", clean, "times clean")
	require.Positive(t, clean)
}

// turns hooks the actor whose turn it is.
type turns struct{ turn **actor }

func (h *turns) Before(c *kernel.Call) error {
	if a := *h.turn; a != nil {
		return a.Before(c)
	}
	return nil
}

func (h *turns) After(c *kernel.Call) {
	if a := *h.turn; a != nil {
		a.After(c)
	}
}
