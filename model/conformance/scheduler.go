//go:build linux

package conformance

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/upstream"
	"github.com/afterlock/afterlock/model"
)

// A scheduler makes logical processes take the steps of the specification on a
// real file system, one at a time, and compares the world with the state of the
// specification after each.
type scheduler struct {
	config *model.Config
	table  []step // by index in the model's actions
	world  *world
	procs  []*process // by model.Proc; 0 is nil

	upstream *upstream.Process // that ours are in, if upstream's are

	// Which call of a step fails, and how, goes round: turn is the next choice,
	// choices are those of this walk, and wanted, unless it is negative, is the one
	// that a schedule wants of a step.
	turn    int
	choices []int
	wanted  []int
	step    int           // of the walk
	took    func(a *step) // hears of each step, for Replay; may be nil

	counts   Counts
	injected map[injection]int64
}

func newScheduler(dir string, m *model.Model, where Where) (*scheduler, error) {
	c := m.Protocol
	if len(c.Swap) > 0 || c.LockKind != "ofd" {
		return nil, fmt.Errorf("the code of %s is none that there is", m.Name)
	}
	table, err := steps(c, m.Actions())
	if err != nil {
		return nil, err
	}
	w, err := newWorld(dir, c, itemNames(c))
	if err != nil {
		return nil, err
	}
	s := &scheduler{config: c, table: table, world: w, procs: []*process{nil}, injected: map[injection]int64{}}
	for i, name := range procNames(c) {
		p := &process{name: name, number: model.Proc(i + 1), creator: i < len(c.Creator), world: w, lock: -1}
		p.inspector = slices.Contains(c.Inspector, name)
		root := 0
		if c.RootName == "TwoNames" {
			root = i
		}
		p.path = w.rootPath(root)
		p.runner, p.mixed = new(coroutine), len(c.Upstream) > 0
		if p.upstream = slices.Contains(c.Upstream, name); p.upstream {
			rechecks := slices.Contains(c.Repaired, name)
			p.runner = &forked{rechecks: rechecks, where: where}
			if where == Together {
				p.runner = &together{rechecks: rechecks, process: &s.upstream}
			}
		}
		s.procs = append(s.procs, p)
	}
	return s, nil
}

// listen has every call told from now on, in words with the names of the model.
func (s *scheduler) listen(told func(p *process, call string)) {
	for _, p := range s.procs[1:] {
		p.watch = func(p *process, c *kernel.Call) {
			call := strings.TrimSpace(c.Method.String() + " " + s.readable(c.Name))
			if p.grant.Errno != 0 && p.grant.Failing == c.Method {
				call += " fails: " + unix.ErrnoName(p.grant.Errno)
			}
			told(p, call)
		}
	}
}

// readable is a name with the model's words for what was drawn.
func (s *scheduler) readable(name string) string {
	name = strings.ReplaceAll(name, s.world.dir+"/", "")
	for i, id := range s.config.ID {
		if drawn := s.world.ids[i+1]; drawn != "" {
			name = strings.ReplaceAll(name, drawn, "<"+id+">")
		}
	}
	return name
}

// reset makes the world what it is in the initial state, with new processes.
func (s *scheduler) reset() error {
	s.choices = s.choices[:0]
	if err := s.finishAll(); err != nil {
		return err
	}
	w := s.world
	for x := range w.trees {
		if w.trees[x].mount != "" {
			if err := w.unmount(model.Item(x)); err != nil {
				return err
			}
		}
	}
	kept, err := w.clear()
	if err != nil {
		return err
	}
	w.forget(kept...)
	for i, name := range s.config.ID {
		if slices.Contains(s.config.Orphan, name) {
			w.ids[i+1] = fmt.Sprintf("%032x", i+1)
			if err := unix.Mkdirat(w.rootFd, dataPrefix+w.ids[i+1], 0o700); err != nil {
				return err
			}
		}
	}
	for x, name := range itemNames(s.config) {
		if !slices.Contains(s.config.Addition, name) && !slices.Contains(kept, model.Item(x+1)) {
			if err := w.makeTree(w.home(model.Item(x+1)), model.Item(x+1)); err != nil {
				return err
			}
		}
	}
	for _, p := range s.procs[1:] {
		if p.isForked() && p.at.Place == atIdle && p.pid != 0 {
			continue // the same process once more
		}
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

// finishAll ends the processes that are cheap to make, and lets the others go on
// until they have nothing open.
func (s *scheduler) finishAll() error {
	for _, p := range s.procs[1:] {
		if !p.isForked() {
			p.kill()
		}
	}
	s.upstream = new(upstream.Process)
	for _, p := range s.procs[1:] {
		if p.isForked() && p.pid != 0 && !p.finish() {
			p.kill()
		}
	}
	return nil
}

// leaked is what this operating system process has open below the scratch
// directory when every logical process is killed: descriptors that the library
// opened without its Kernel, and forgot. They would outlive a crash here.
func (s *scheduler) leaked() (names []string, err error) {
	s.killAll()
	own := []int{s.world.rootFd, s.world.homeFd}
	for x := range s.world.trees {
		own = append(own, s.world.trees[x].fd)
	}
	for n := range s.world.inodes {
		own = append(own, s.world.inodes[n].fd)
	}
	for i := range s.world.datas {
		own = append(own, s.world.datas[i].fd)
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil, err
	}
	for _, fd := range fds {
		number, _ := strconv.Atoi(fd.Name())
		name, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err == nil && strings.HasPrefix(name, s.world.dir+"/") && !slices.Contains(own, number) {
			names = append(names, strings.TrimPrefix(name, s.world.dir+"/"))
		}
	}
	return names, nil
}

// isForked says whether the process is one of the operating system.
func (p *process) isForked() bool {
	_, is := p.runner.(*forked)
	return is
}

func (s *scheduler) killAll() {
	for _, p := range s.procs[1:] {
		p.kill()
	}
}

func (s *scheduler) close() {
	s.killAll()
	s.world.close()
}
