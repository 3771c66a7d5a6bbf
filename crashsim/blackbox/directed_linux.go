//go:build amd64 || arm64

package blackbox

import (
	"context"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/model"
)

// An Action is one step of a counterexample.
type Action struct {
	Name    string // in the spec
	Process int    // 0: the creator; 1, 2: the recoverers
}

// counterexamples are the models of upstream that are refuted, and the contests
// on which their counterexamples are played: as shipped, and with the fix on one
// side only.
var counterexamples = []struct{ model, contest string }{
	{"UpstreamAsShipped", "upstream-delete"},
	{"UpstreamCreatorRechecks", "upstream-creatorrechecks-delete"},
	{"UpstreamRecovererRechecks", "upstream-recovererrechecks-delete"},
}

// Counterexample is how the model, one of upstream that is refuted, says that
// live data is lost. It takes some milliseconds.
func Counterexample(ctx context.Context, name string) ([]Action, error) {
	r, err := model.Find(name).Refute(ctx, model.Options{})
	if err != nil {
		return nil, err
	}
	if r.Counterexample == nil {
		return nil, fmt.Errorf("the model %s is not refuted", name)
	}
	var actions []Action
	for _, s := range r.Counterexample.States[1:] {
		name, arguments, _ := strings.Cut(strings.TrimSuffix(s.Action, ")"), "(")
		who, _, _ := strings.Cut(arguments, ",")
		i := map[string]int{"c1": 0, "r1": 1, "r2": 2}[who]
		actions = append(actions, Action{name, i})
	}
	return actions, nil
}

// Takes reports whether upstream's call, in a root of its instances, is the action's.
func (a Action) Takes(c Call) bool {
	last := ""
	if len(c.Paths) > 0 {
		last = path.Base(c.Paths[len(c.Paths)-1])
	}
	lock, data := strings.HasPrefix(last, "lock-"), strings.HasPrefix(last, "temp-dir-")
	flags := func(argument int, mask uint64) bool { return c.Arguments[argument]&mask != 0 }
	switch a.Name {
	case "UpstreamCreateLock":
		return c.Name == "openat" && lock && flags(2, unix.O_EXCL)
	case "UpstreamOpenLock":
		return lock && (c.Name == "openat2" || c.Name == "openat" && !flags(2, unix.O_EXCL))
	case "UpstreamStatName":
		return c.Name == "newfstatat" && lock
	case "UpstreamTakeLock":
		return c.Name == "fcntl"
	case "MakeData":
		return c.Name == "mkdirat" && data
	case "List":
		return c.Name == "getdents64"
	case "OpenDirectory":
		return c.Name == "unlinkat" && data && !flags(2, unix.AT_REMOVEDIR)
	case "RemoveData":
		return c.Name == "unlinkat" && data && flags(2, unix.AT_REMOVEDIR)
	case "UpstreamRemoveLock":
		return c.Name == "unlinkat" && lock
	case "Close":
		return c.Name == "close" && lock
	}
	return false
}

// maxCalls bounds how many calls a process makes on its way to an action.
const maxCalls = 100

// direct plays the actions on the fixture: each process makes calls until it has
// made the one of its action. Then all run to their ends. The letters that were
// played repeat it without the model.
func (w *worker) direct(c *contest, actions []Action) (*match, []string, error) {
	m, err := w.newMatch(c, len(letters))
	if err != nil {
		return nil, nil, err
	}
	for _, a := range actions {
		for n := 0; ; n++ {
			d := m.processes[a.Process]
			taken := d.busy() && a.Takes(w.super.resolve(d.at).export())
			going, err := m.step(a.Process)
			if err != nil {
				return nil, nil, err
			}
			if taken {
				break
			}
			if !going || n == maxCalls {
				return nil, nil, fmt.Errorf("process %c never comes to %s; played %s", letters[a.Process], a.Name, m.played)
			}
		}
	}
	schedule := string(m.played)
	problems, err := m.finish()
	m.played = []byte(schedule)
	return m, problems, err
}

// directedRuns is how often the counterexample is played.
const directedRuns = 50

// directed plays the counterexamples of the models on the fixture, and the same
// letters on tempdir.
func (c *campaign) directed(ctx context.Context) error {
	ours := findContest("tempdir-delete")
	for i, e := range counterexamples {
		actions, err := Counterexample(ctx, e.model)
		if err != nil {
			return err
		}
		fixture := findContest(e.contest)
		err = c.each(ctx, directedRuns, func(w *worker, _ int) error {
			m, _, err := w.direct(fixture, actions)
			if err != nil {
				return fmt.Errorf("the counterexample of %s: %w", e.model, err)
			}
			n, problems, err := w.playString(ours, string(m.played), nil)
			if err != nil {
				return err
			}
			if !m.lost {
				c.problem(m.schedule(), "the fixture of upstream survives the counterexample of "+e.model)
			}
			c.problems(m.schedule(), problems)
			c.count(func(r *Report) {
				if i == 0 {
					r.DirectedRuns++
				} else {
					r.HalfFixRuns++
				}
				switch {
				case m.lost && i == 0:
					r.FixtureLost++
				case m.lost:
					r.HalfFixLost++
				}
				if n.lost {
					r.DirectedLost++
				}
			})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
