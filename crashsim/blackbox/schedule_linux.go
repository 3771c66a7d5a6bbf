//go:build amd64 || arm64

package blackbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
)

// A contest is processes of one implementation on one root: the owner o, and
// the recoverers a and b, which recover again and again until the owner is done.
type contest struct {
	name      string
	binary    string
	arguments []string
	program   program // what the owner does
}

// contests is the table of what is scheduled.
func contests() []contest {
	short := join(directory("root"), directory("layers"), layer("layers/keep"), layer("layers/v1"))
	deletes := program{name: "delete", words: words("delete /root /layers/v1"), root: "root", scene: short, victims: []string{"layers/v1"}}
	adds := program{name: "add", words: words("add /root /layers/n1"), root: "root", scene: short, additions: []string{"layers/n1"}}
	var all []contest
	for _, implementation := range [][]string{{"tempdir"}, {"upstream"}, {"faulty", "norecheck"}} {
		for _, p := range []program{deletes, adds} {
			all = append(all, contest{
				name: strings.Join(append(implementation[:len(implementation):len(implementation)], p.name), "-"), program: p,
				binary: implementation[0], arguments: implementation[1:],
			})
		}
	}
	return all
}

func findContest(name string) (*contest, error) {
	for _, c := range contests() {
		if c.name == name {
			return &c, nil
		}
	}
	return nil, fmt.Errorf("no contest %q", name)
}

// letters are the processes of a contest in a schedule. A capital is one call,
// or the start of the next recovery; a lower-case letter is all calls up to the
// end of the command.
const letters = "OAB"

// A match is one run of a contest.
type match struct {
	worker    *worker
	contest   *contest
	processes []*process // in the order of letters
	played    []byte     // so far
	calls     int
	answers   [len(letters)]string
	owned     bool // the owner is done
	ok        bool // and said so
	lost      bool // something live was lost, or something was left

	watch func(letter byte, call string) // is told of each call; may be nil
}

// newMatch sets the scene up and starts the owner, with so many processes.
func (w *worker) newMatch(c *contest, processes int) (*match, error) {
	m := &match{worker: w, contest: c}
	if err := w.prepare(c.program.scene); err != nil {
		return nil, err
	}
	for i := range processes {
		key := strings.Join(append([]string{letters[i : i+1], c.binary}, c.arguments...), " ")
		d, err := w.driverAs(key, c.binary, c.arguments...)
		if err != nil {
			return nil, err
		}
		m.processes = append(m.processes, d)
	}
	return m, w.super.command(m.processes[0], at(c.program.words, w.scene)...)
}

// step plays a capital letter: one call of process i, or its next command. It
// reports false if the process has nothing left to do.
func (m *match) step(i int) (bool, error) {
	d := m.processes[i]
	if d.dead || i == 0 && m.owned || i > 0 && m.owned && d.idle() {
		return false, nil
	}
	m.played = append(m.played, letters[i])
	if d.idle() {
		return true, m.settle(i, m.worker.super.command(d, "recover", filepath.Join(m.worker.scene, m.contest.program.root)))
	}
	m.calls++
	if m.watch != nil {
		m.watch(letters[i], m.worker.super.resolve(d.at).String())
	}
	return true, m.settle(i, m.worker.super.step(d))
}

// settle takes the answer of a process that has ended its command.
func (m *match) settle(i int, err error) error {
	d := m.processes[i]
	if err != nil || d.busy() {
		return err
	}
	answer, ok, err := m.worker.end(d)
	if !ok {
		m.answers[i] = answer
	}
	if i == 0 {
		m.owned, m.ok = true, ok
	}
	return err
}

// run plays a lower-case letter: process i to the end of its command.
func (m *match) run(i int) error {
	d := m.processes[i]
	if d.idle() || d.dead {
		return nil
	}
	for d.busy() {
		if _, err := m.step(i); err != nil {
			return err
		}
	}
	return nil
}

// finish runs all processes to their ends, one after another, lets another one
// recover, and says what was lost.
func (m *match) finish() (problems []string, err error) {
	for i := range m.processes {
		if err := m.run(i); err != nil {
			return nil, err
		}
	}
	w, p := m.worker, &m.contest.program
	disk, err := w.look()
	if err != nil {
		return nil, err
	}
	for i, answer := range m.answers {
		if answer != "" {
			problems = append(problems, fmt.Sprintf("process %c: %s", letters[i], answer))
		}
	}
	found := len(problems)
	problems = append(problems, p.judge(disk, false, m.ok)...)
	if err := w.recoverAlone(p, w.scene, disk); err != nil && !isRefusal(err) {
		return nil, err
	} else if err != nil {
		problems = append(problems, fmt.Sprintf("the recovery: %v", err))
	}
	after, err := w.look()
	if err != nil {
		return nil, err
	}
	problems = append(problems, p.judge(after, true, m.ok)...)
	m.lost = !m.ok || len(problems) > found
	if len(problems) > 0 {
		for _, d := range m.processes { // they may hold locks for ever
			w.kill(d)
		}
	}
	return problems, nil
}

// playRandom plays letters at random until the owner is done. Half of the
// schedules choose anew for each call. The others choose for a few calls or for
// all up to the end of a command: a race that wants a whole recovery between two
// calls of the owner is too rare among the first.
func (w *worker) playRandom(c *contest, rng *rand.Rand) (*match, []string, error) {
	m, err := w.newMatch(c, len(letters))
	bursts := rng.IntN(2) == 0
	for err == nil && !m.owned {
		i, n := rng.IntN(len(letters)), 1
		if bursts {
			n = []int{1, 2 + rng.IntN(8), maxCalls}[rng.IntN(3)]
		}
		for ; n > 0 && err == nil && !m.owned; n-- {
			_, err = m.step(i)
			if m.processes[i].idle() {
				break
			}
		}
	}
	if err != nil {
		return nil, nil, err
	}
	for i := 1; i < len(letters); i++ { // and the recoverers in the middle of one
		for m.processes[i].busy() && err == nil {
			_, err = m.step(i)
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

// random plays n schedules of the contest. The i-th depends on the seed and on i
// alone.
func (c *campaign) random(ctx context.Context, contest *contest, n int) error {
	return c.each(ctx, n, func(w *worker, i int) error {
		m, problems, err := w.playRandom(contest, rand.New(rand.NewPCG(c.Seed, uint64(i))))
		if err != nil {
			return err
		}
		c.problems(fmt.Sprintf("sched/%s/%s", contest.name, m.played), problems)
		c.count(func(r *Report) {
			r.Schedules++
			r.ScheduleCalls += m.calls
			if m.lost {
				r.Lost++
			}
		})
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

// preempted plays every schedule of the owner and one recoverer in which the
// first runs for some calls, then the other for some, and then each to its end.
func (c *campaign) preempted(ctx context.Context, contest *contest) error {
	const most = 200 // more calls than either makes
	return c.each(ctx, 2*most, func(w *worker, n int) error {
		first, other, before := n%2, 1-n%2, n/2
		for between := range most {
			m, err := w.newMatch(contest, 2)
			if err != nil {
				return err
			}
			firstEnded, err := m.times(first, before)
			if err != nil {
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
			c.problems(fmt.Sprintf("sched/%s/%s", contest.name, m.played), problems)
			c.count(func(r *Report) {
				r.Exhaustive++
				r.ScheduleCalls += m.calls
				if m.lost {
					r.Lost++
				}
			})
			if firstEnded || otherEnded {
				return nil // longer ones are the same
			}
		}
		return nil
	})
}

// times plays the letter n times, and reports whether the process ended its
// command before.
func (m *match) times(i, n int) (ended bool, err error) {
	for range n {
		if m.ended(i) {
			return true, nil
		}
		if _, err = m.step(i); err != nil {
			return false, err
		}
	}
	return false, nil
}

// ended reports whether process i has ended a command.
func (m *match) ended(i int) bool {
	return m.processes[i].idle() && strings.IndexByte(string(m.played), letters[i]) >= 0
}
