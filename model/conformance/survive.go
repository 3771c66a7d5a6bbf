//go:build linux

package conformance

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/tempdir"
)

// A survivor drives the unmodified library through the schedule of a
// counterexample: who goes on when, who is killed, whose call fails. There is no
// state to compare with, since the point is that it goes another way; so after
// each step it is asked of the disk whether anything live was lost.
type survivor struct {
	*scheduler
	schedule []step // the actions of the faulty model
	current  model.ID
	catchUp  bool // a creator goes on first until there is what a step is about
	swept    bool // a stranger took the instance away
	followed int
	watched  int // lock files
	refused  []string
	watch    func(i int, a *step, why string) // hears of each step, and why it was not taken; may be nil
}

// survive takes the schedule as often as the counterexample was replayed, every
// other time exactly as it is. Our creators show nothing before it is locked,
// so that a recoverer of the schedule comes too early and has nothing to do; the
// other times they go on first until there is something to list.
func survive(m *model.Model, ours model.Config, b model.Behaviour, o CounterexampleOptions) (r Survival, err error) {
	schedule, err := steps(m.Protocol, m.Actions())
	if err != nil {
		return r, err
	}
	s, done, err := open(o.Dir, &model.Model{Name: m.Name, Formula: model.Spec, Protocol: &ours})
	if err != nil {
		return r, err
	}
	defer func() {
		if failed := done(); err == nil {
			err = failed
		}
	}()
	for r.Runs < 2*o.Runs {
		v := &survivor{scheduler: s, schedule: schedule, catchUp: r.Runs%2 == 1}
		if o.Out != nil && r.Runs == 0 {
			v.watch = func(i int, a *step, why string) { fmt.Fprintf(o.Out, "%4d %-26s %s\n", i+1, a, why) }
		}
		lost, err := v.run(b)
		if err != nil {
			return r, err
		}
		r.Runs++
		r.Followed, r.Refused = v.followed, v.refused
		if r.Lost = lost; lost != "" {
			return r, nil
		}
		r.Survived++
	}
	return r, nil
}

// run takes the schedule once, and returns what was lost.
func (v *survivor) run(b model.Behaviour) (lost string, err error) {
	if err := v.reset(); err != nil {
		return "", environmentError{err}
	}
	for _, p := range v.procs[1:] {
		p.unjudged = true
	}
	v.current = 1
	for i, step := range allSteps(b) {
		a := &v.schedule[step.Action]
		if err := v.world.observe(); err != nil {
			return "", err
		}
		why, err := v.follow(a, &step.State)
		if v.watch != nil {
			v.watch(i, a, why)
		}
		switch {
		case err != nil:
			return fmt.Sprintf("step %d, %s: %v", i+1, a, err), nil
		case why == "":
			v.followed++
		default:
			v.refused = append(v.refused, fmt.Sprintf("step %d, %s: %s", i+1, a, why))
		}
		if lost, err := v.lost(); lost != "" || err != nil {
			return fmt.Sprintf("after step %d, %s: %s", i+1, a, lost), err
		}
	}
	return v.end()
}

// follow lets the process of an action go on, if it can. why says why not.
func (v *survivor) follow(a *step, to *model.State) (why string, err error) {
	w := v.world
	if v.catchUp && (a.Slot == "List" || a.Slot == "Mount" || a.Slot == "Sweep") {
		if err := v.create(a.Slot == "List"); err != nil {
			return "", err
		}
	}
	switch a.Slot {
	case "Crash":
		return "", v.crash(v.procs[a.proc])
	case "Mount":
		place := to.Place[a.item]
		if place != model.Home {
			place = model.Inside(v.current)
		}
		if place != model.Home && w.seen.data[v.current] == 0 {
			return "there is no data directory", nil
		}
		return "", w.mountOrUnmount(a.item, place)
	case "Sweep":
		if err := unix.Unlinkat(w.rootFd, dataPrefix+w.ids[v.current], unix.AT_REMOVEDIR); err != nil {
			return "the stranger: " + err.Error(), nil
		}
		v.swept = true
		return "", nil
	}
	p := v.procs[a.proc]
	p.grant = grant{}
	if a.Slot == "CallFails" || a.Slot == "UpstreamCallFails" {
		return v.failOurs(p)
	}
	if p.at.Place == atReply && a.Slot != "Return" {
		if v.orderOf(a).Op == none {
			return "it has responded already", nil
		}
		if err := p.resume(); err != nil {
			return "", err
		}
	}
	switch p.at.Place {
	case atIdle:
		return v.begin(p, a)
	case atLive:
		if p.order = v.orderOf(a); p.order.Op == none {
			return "it has created its instance already", nil
		}
	case atCall:
		if p.creator && p.names() {
			v.bindNext(p.at.Name)
		}
	}
	return "", p.resume()
}

// create lets creators go on until the root shows a lock file, or data.
func (v *survivor) create(lock bool) error {
	for _, p := range v.procs[1:] {
		for p.creator && p.at.Place == atCall && methods[p.at.Call] <= kernel.MakeData {
			if shown := &v.world.seen; shown.data[v.current] != 0 || lock && shown.lock[v.current] != 0 {
				return nil
			}
			if p.names() {
				v.bindNext(p.at.Name)
			}
			if err := p.resume(); err != nil {
				return err
			}
			if err := v.world.observe(); err != nil {
				return err
			}
		}
	}
	return nil
}

// names says whether the process is about to make a name for its lock file.
func (p *process) names() bool {
	return p.at.Call == "UpstreamCreateLock" || p.at.Call == "LinkLock" || p.at.Call == "CreateLock"
}

// begin begins an operation of a process without an instance.
func (v *survivor) begin(p *process, a *step) (why string, err error) {
	seen := &v.world.seen
	switch {
	case p.creator && (a.Slot == "OpenUnnamed" || a.Slot == "CreateLock" || a.Slot == "UpstreamCreateLock"):
		p.order = order{Op: opCreate}
		if err := p.resume(); err != nil || p.at.Place != atCall {
			return "", err
		}
		if p.names() {
			v.bindNext(p.at.Name)
		}
	case !p.creator && a.Slot == "List":
		if p.order = (order{Op: opRecover, ID: v.current}); p.inspector {
			p.order.Op = opInspect
		}
		switch lock, data := seen.lock[v.current] != 0, seen.data[v.current] != 0; {
		case lock && data:
			p.order.Saw = model.SawBoth
		case lock:
			p.order.Saw = model.SawLock
		case data:
			p.order.Saw = model.SawData
		default:
			return "the root shows nothing", nil
		}
		p.gaveUp = ""
	case p.gaveUp != "":
		return "it has given up (" + p.gaveUp + ")", nil
	default:
		return "it has nothing to do", nil
	}
	return "", p.resume()
}

// failOurs makes the call fail that the process is about to make.
func (v *survivor) failOurs(p *process) (why string, err error) {
	failing := methods[p.at.Call]
	switch {
	case p.at.Place == atLive:
		p.order, failing = order{Op: opCloseStaged}, kernel.OpenDirectory // or its like
		if err := p.resume(); err != nil {
			return "", err
		}
	case p.at.Place != atCall:
		return "it makes no call", nil
	}
	if p.upstream {
		p.grant = grant{Errno: unix.EIO}
		return "", p.resume()
	}
	if len(errnos[failing]) == 0 {
		return failing.String() + " does not fail", nil
	}
	p.grant = grant{Errno: errnos[failing][0], Failing: failing}
	return "", p.resume()
}

// bindNext makes a number stand for an id that was drawn.
func (v *survivor) bindNext(name string) {
	w := v.world
	if w.idOf(idOfName(name)) != 0 {
		return
	}
	for i := range w.ids {
		if i > 0 && (w.ids[i] == "" || w.seen.lock[i] == 0 && w.seen.data[i] == 0) {
			w.ids[i], v.current = idOfName(name), model.ID(i)
			return
		}
	}
}

// lost looks whether something live was lost, or somebody was told a lie.
func (v *survivor) lost() (string, error) {
	w := v.world
	if err := w.observe(); err != nil {
		return "", err
	}
	var lost []string
	for x := 1; x < itemCount; x++ {
		reachable := w.seen.place[x] == model.Home || w.trees[x].mount != ""
		if w.trees[x].inode != 0 && reachable && int(w.seen.files[x]) != w.files {
			lost = append(lost, fmt.Sprintf("%s has %d of %d files", w.itemNames[x], w.seen.files[x], w.files))
		}
	}
	for _, p := range v.procs[1:] {
		calling := p.at.Place == atCall && (p.at.Call == "StageDeletion" || p.at.Call == "Commit")
		if !p.creator || p.at.Place != atLive && p.at.Place != atReply && !calling {
			continue
		}
		x := p.order.Item
		if p.at.Place == atReply && p.order.Op == opStageDeletion && w.seen.place[x] == model.Home &&
			(p.at.Reply == model.OK || p.at.Reply == model.Missing) {
			lost = append(lost, fmt.Sprintf("%s was told %q about %s", p.name, model.PCName(p.at.Reply), w.itemNames[x]))
		}
		if v.swept {
			continue
		}
		i := w.idOf(idOfName(p.named))
		held, err := v.holds(p)
		if err != nil {
			return "", err
		}
		if i == 0 || w.seen.data[i] == 0 || w.seen.lock[i] != p.inode || !held {
			lost = append(lost, "the live instance of "+p.name)
			continue
		}
		for x := 1; x < itemCount; x++ {
			if w.seen.place[x] == model.Inside(i) && w.trees[x].mount == "" && int(w.seen.files[x]) != w.files {
				lost = append(lost, fmt.Sprintf("%s, staged by %s, has %d of %d files", w.itemNames[x], p.name, w.seen.files[x], w.files))
			}
		}
	}
	return strings.Join(lost, "; "), nil
}

// holds says whether a process holds the lock of the file that it has open: it
// is held, and not by somebody else. What the observer opens for that stays open:
// to close it would drop upstream's lock, if upstream is in this process.
func (v *survivor) holds(p *process) (bool, error) {
	if p.lock < 0 {
		return false, nil
	}
	n := v.world.number(p.inode)
	if n == model.None {
		n = model.Inode(1 + v.watched%(inodeCount-1))
		v.watched++
		if err := v.world.watch(n, p.lockPath()); err != nil {
			return false, err
		}
	}
	held, by, err := v.world.locked(n)
	switch {
	case err != nil || !held:
		return false, err
	case p.upstream:
		return by == p.pid, nil
	}
	other, _, err := lockedFor(p.lock)
	return !other, err
}

// end lets everybody come to an end; then one recovery has to empty the root.
func (v *survivor) end() (lost string, err error) {
	w := v.world
	for x := range w.trees {
		if w.trees[x].mount != "" {
			if err := w.unmount(model.Item(x)); err != nil {
				return "", err
			}
		}
	}
	for _, p := range v.procs[1:] {
		if p.finish() {
			continue
		}
		if !p.upstream {
			return p.name + " does not come to an end: " + p.at.String(), nil
		}
		// It keeps the lock of what it failed to clean up for as long as it lives.
		if err := v.crash(p); err != nil {
			return "", err
		}
	}
	root, err := tempdir.Open(w.rootPath(0), tempdir.MixedFleet(0, 0))
	if err != nil {
		return "", err
	}
	defer root.Close()
	if _, err := root.Recover(context.Background()); err != nil {
		return "recovery in the end: " + err.Error(), nil
	}
	if lost, err := v.lost(); lost != "" || err != nil {
		return "in the end: " + lost, err
	}
	left := 0
	if err := w.list(w.rootFd, func([]byte, uint64) { left++ }); err != nil {
		return "", err
	}
	if left > 0 {
		return fmt.Sprintf("%d names are left in the root after recovery", left), nil
	}
	return "", nil
}
