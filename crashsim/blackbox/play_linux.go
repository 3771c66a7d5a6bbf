//go:build amd64 || arm64

package blackbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
)

// maxCalls is more than a command has between two calls that matter.
const maxCalls = 100

// playRandom plays letters at random until the owner is done. Half of the
// schedules choose anew for each call. The others choose for a few calls or for
// all up to the end of a command: a race that wants a whole recovery between two
// calls of the owner is too rare among the first.
func (w *worker) playRandom(c *contest, rng *rand.Rand) (*match, []string, error) {
	m, err := w.newMatch(c, len(letters))
	bursts := rng.IntN(2) == 0
	for err == nil && !m.over() {
		i, n := rng.IntN(len(letters)), 1
		if bursts {
			n = []int{1, 2 + rng.IntN(8), maxCalls}[rng.IntN(3)]
		}
		for moved := true; n > 0 && err == nil && moved && !m.over(); n-- {
			moved, err = m.step(i)
			moved = moved && !m.processes[i].idle()
		}
	}
	if err != nil {
		return nil, nil, err
	}
	problems, err := m.finish()
	return m, problems, err
}

// playString plays a schedule.
func (w *worker) playString(c *contest, schedule string, watch func(letter byte, call string)) (*match, []string, error) {
	m, err := w.newMatch(c, len(letters))
	if err != nil {
		return nil, nil, err
	}
	m.watch = watch
	for _, letter := range []byte(schedule) {
		i := strings.IndexByte(letters, letter&^0x20)
		if i < 0 {
			return nil, nil, fmt.Errorf("schedule %q: no process %q", schedule, letter)
		}
		if letter&0x20 != 0 {
			err = m.run(i)
		} else {
			_, err = m.step(i)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	problems, err := m.finish()
	return m, problems, err
}

// played notes what came of a match, and counts it.
func (c *campaign) played(m *match, problems []string, count func(r *Report) (root, store *int)) {
	c.problems(m.schedule(), problems)
	c.count(func(r *Report) {
		root, store := count(r)
		if m.contest.second == nil {
			*root++
		} else {
			*store++
		}
		if m.lost {
			r.Lost++
		}
	})
}

// random plays n schedules of the contest. The i-th depends on the seed and on i
// alone.
func (c *campaign) random(ctx context.Context, contest *contest, n int) error {
	return c.each(ctx, n, func(w *worker, i int) error {
		m, problems, err := w.playRandom(contest, rand.New(rand.NewPCG(c.Seed, uint64(i))))
		if err != nil {
			return err
		}
		c.played(m, problems, func(r *Report) (root, store *int) { return &r.Schedules, &r.StoreSchedules })
		return nil
	})
}

// untilLost plays schedules of the contest until something is lost, and returns
// how many it took, the last included, and that schedule; 0 if none of n loses
// anything.
func (w *worker) untilLost(ctx context.Context, c *contest, seed uint64, n int) (took int, schedule string, err error) {
	for i := range n {
		if ctx.Err() != nil {
			return 0, "", ctx.Err()
		}
		m, _, err := w.playRandom(c, rand.New(rand.NewPCG(seed, uint64(i))))
		if err != nil {
			return 0, "", err
		}
		if m.lost {
			return i + 1, string(m.played), nil
		}
	}
	return 0, "", nil
}

// preempted plays every schedule of the first two processes in which one runs for
// some calls, then the other for some or, with one preemption, for as many as it
// can make, and then each to its end.
func (c *campaign) preempted(ctx context.Context, contest *contest, preemptions int) error {
	const most = 1000  // more calls than either makes
	var lengths [2]int // calls of each, alone
	for i := range lengths {
		m, err := c.workers[0].newMatch(contest, 2)
		if err != nil {
			return err
		}
		if _, err = m.times(i, most); err != nil {
			return err
		}
		lengths[i] = len(m.played)
		if _, err := m.finish(); err != nil {
			return err
		}
	}
	return c.each(ctx, lengths[0]+lengths[1]+2, func(w *worker, n int) error {
		first, other, before := 0, 1, n
		if n > lengths[0] {
			first, other, before = 1, 0, n-lengths[0]-1
		}
		for between := range most {
			if preemptions == 1 {
				between = most
			}
			m, err := w.newMatch(contest, 2)
			if err != nil {
				return err
			}
			if _, err := m.times(first, before); err != nil {
				return err
			}
			otherEnded, err := m.times(other, between)
			if err != nil {
				return err
			}
			if err := m.run(first); err != nil {
				return err
			}
			problems, err := m.finish()
			if err != nil {
				return err
			}
			c.played(m, problems, func(r *Report) (root, store *int) { return &r.Exhaustive, &r.StoreExhaustive })
			if otherEnded || preemptions == 1 {
				return nil // longer ones are the same
			}
		}
		return nil
	})
}

// times plays the letter n times, and reports whether the process can make fewer:
// it has ended its command, or waits for a lock.
func (m *match) times(i, n int) (stuck bool, err error) {
	for range n {
		if m.processes[i].idle() && m.ended[i] {
			return true, nil
		}
		moved, err := m.step(i)
		if err != nil || !moved {
			return !moved, err
		}
	}
	return false, nil
}
