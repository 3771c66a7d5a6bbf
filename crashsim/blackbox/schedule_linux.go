//go:build amd64 || arm64

package blackbox

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A contest is processes of one implementation on one scene: the owner o, and
// the recoverers a and b, which recover again and again until the owner is done;
// or, in a layer store, the owner that deletes, another one that adds, and a
// recoverer.
type contest struct {
	name      string
	binary    string
	arguments []string
	program   program  // what the owner does or, in a store, what both owners do
	second    []string // what the second owner does; nil: there is one owner
	refusable bool     // one owner may refuse because of what the other did
}

// contests is the table of what is scheduled.
func contests() []contest {
	short := join(directory("root"), directory("layers"), layer("layers/keep"), layer("layers/v1"))
	deletes := program{name: "delete", words: words("delete /root /layers/v1"), root: "root", scene: short, victims: []string{"layers/v1"}}
	adds := program{name: "add", words: words("add /root /layers/n1"), root: "root", scene: short, additions: []string{"layers/n1"}}
	var all []contest
	for _, implementation := range [][]string{{"tempdir"}, {"upstream"}, {"upstream", "creatorrechecks"}, {"upstream", "recovererrechecks"}} {
		for _, p := range []program{deletes, adds} {
			all = append(all, contest{
				name: strings.Join(append(implementation[:len(implementation):len(implementation)], p.name), "-"), program: p,
				binary: implementation[0], arguments: implementation[1:],
			})
		}
	}
	return append(all, storeContests()...)
}

// storeContests are those of a layer store: a deletion of a layer and its child,
// beside an addition; in the conflicts, the addition wants the child as its parent.
func storeContests() (all []contest) {
	for _, layout := range []string{"vfs", "overlay"} {
		both := program{
			name: "deleteadd", words: words("delete /store v1 v2"), store: layout, root: storeRoot, scene: storeScene(layout),
			victims: []string{"v1", "v2"}, additions: []string{"n1"},
		}
		all = append(all,
			contest{name: "store-" + layout, binary: "layers", program: both, second: words("create /store " + layout + " n1 keep /content")},
			contest{name: "conflict-" + layout, binary: "layers", program: both, second: words("create /store " + layout + " n1 v2 /content"), refusable: true})
	}
	return all
}

// findContest is the contest of the name, or nil.
func findContest(name string) *contest {
	for _, c := range contests() {
		if c.name == name {
			return &c
		}
	}
	return nil
}

// letters are the processes of a contest in a schedule. A capital is one call,
// or the start of the next recovery; a lower-case letter is all calls up to the
// end of the command.
const letters = "OAB"

// A match is one run of a contest.
type match struct {
	worker    *worker
	contest   *contest
	processes []*process           // in the order of letters
	played    []byte               // so far
	answers   [len(letters)]string // errors
	ended     [len(letters)]bool   // has ended a command
	lost      bool                 // something live was lost, or something was left

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
		d, err := w.driverAs(w.super, key, c.binary, c.arguments...)
		if err != nil {
			return nil, err
		}
		m.processes = append(m.processes, d)
	}
	return m, w.super.command(m.processes[0], at(c.program.words, w.scene)...)
}

// owners is how many processes have one command to do, and not recoveries until
// those are done.
func (m *match) owners() int {
	if m.contest.second != nil {
		return min(2, len(m.processes))
	}
	return 1
}

// over reports whether the owners are done.
func (m *match) over() bool { return !slices.Contains(m.ended[:m.owners()], false) }

// commandOf is what the process does next.
func (m *match) commandOf(i int) []string {
	if i < m.owners() {
		return at(m.contest.second, m.worker.scene)
	}
	_, command, dir := m.contest.program.recovery()
	return []string{command, filepath.Join(m.worker.scene, dir)}
}

// step plays a capital letter: one call of process i, or its next command. It
// reports false if the process has nothing left to do, or waits for a lock that
// another one holds.
func (m *match) step(i int) (bool, error) {
	d := m.processes[i]
	switch {
	case d.dead, i < m.owners() && m.ended[i], i >= m.owners() && m.over() && d.idle():
		return false, nil
	case d.busy():
		if blocked, err := m.worker.super.blocked(d); blocked || err != nil {
			return false, err
		}
	}
	m.played = append(m.played, letters[i])
	if d.idle() {
		return true, m.settle(i, m.worker.super.command(d, m.commandOf(i)...))
	}
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
	m.ended[i] = true
	if !ok {
		m.answers[i] = answer
	}
	return err
}

// run plays a lower-case letter: process i to the end of its command. While it
// waits for a lock, the first of the others that can do so makes a call.
func (m *match) run(i int) error {
	for d := m.processes[i]; d.busy(); {
		moved, err := m.step(i)
		for j := 0; j < len(m.processes) && !moved && err == nil; j++ {
			if j != i && m.processes[j].busy() {
				moved, err = m.step(j)
			}
		}
		if err != nil {
			return err
		}
		if !moved {
			return fmt.Errorf("all processes wait for locks; played %s", m.played)
		}
	}
	return nil
}

// outcome is what the owners do, those that may refuse and did left out.
func (m *match) outcome() *program {
	p := m.contest.program
	if len(m.processes) < 2 && m.contest.second != nil {
		p.additions = nil
	}
	if !m.contest.refusable {
		return &p
	}
	for i := range m.owners() {
		if strings.HasPrefix(m.answers[i], "error: no effect: ") {
			m.answers[i] = ""
			if i == 0 {
				p.victims = nil
			} else {
				p.additions = nil
			}
		}
	}
	return &p
}

// finish runs all processes to their ends, one after another, lets another one
// recover, and says what was lost.
func (m *match) finish() (problems []string, err error) {
	for i := range m.processes {
		if i < m.owners() && !m.ended[i] && m.processes[i].idle() {
			if _, err := m.step(i); err != nil { // it never got its turn
				return nil, err
			}
		}
		if err := m.run(i); err != nil {
			return nil, err
		}
	}
	w, p := m.worker, m.outcome()
	done := !slices.ContainsFunc(m.answers[:m.owners()], func(answer string) bool { return answer != "" })
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
	problems = append(problems, p.judge(disk, false, done)...)
	if err := w.recoverAlone(p, w.scene, disk); err != nil && !isRefusal(err) {
		return nil, err
	} else if err != nil {
		problems = append(problems, fmt.Sprintf("the recovery: %v", err))
	}
	after, err := w.look()
	if err != nil {
		return nil, err
	}
	problems = append(problems, p.judgeRecovery(disk, after, done)...)
	m.lost = !done || len(problems) > found
	if len(problems) > 0 {
		for _, d := range m.processes { // they may hold locks for ever
			w.kill(d)
		}
	}
	return problems, nil
}
