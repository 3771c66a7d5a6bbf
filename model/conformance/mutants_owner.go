//go:build linux

package conformance

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
)

// This file is MutantsOwner.tla: what an owner does wrong.

func idOfName(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, lockPrefix), dataPrefix)
}

// dataFirst makes the data directory before it links the lock file.
type dataFirst struct {
	kernel.Kernel
	p *process
}

func dataBeforeLock(p *process, k kernel.Kernel) kernel.Kernel { return &dataFirst{k, p} }

func (m *dataFirst) LinkLock(fd, root int, name string) error {
	if m.p.creator {
		if err := m.Kernel.MakeData(root, dataPrefix+idOfName(name)); err != nil {
			return err
		}
	}
	return m.Kernel.LinkLock(fd, root, name)
}

func (m *dataFirst) MakeData(int, string) error { return nil } // made already

func standsBeforeData(_ *scheduler, p *process, to *model.State) (stop, bool) {
	if p.creator && to.PC[p.number] == model.Locked && to.ID[p.number] == model.None {
		return stop{method: kernel.MakeData}, true
	}
	return stop{}, false
}

func takesData(s *scheduler, p *process, a *step, from, _ *model.State) error {
	if from.ID[a.proc] != model.None {
		return p.call(kernel.LinkLock, none)
	}
	if err := p.goTo(kernel.MakeData, none); err != nil {
		return err
	}
	s.bind(a.id, p.at.name)
	return p.resume()
}

// nameFirst links the file before it locks it.
type nameFirst struct {
	kernel.Kernel
	p *process
}

func nameBeforeLock(p *process, k kernel.Kernel) kernel.Kernel { return &nameFirst{k, p} }

func (m *nameFirst) TakeLock(fd int) error {
	if m.p.creator {
		return nil // later
	}
	return m.Kernel.TakeLock(fd)
}

func (m *nameFirst) LinkLock(fd, root int, name string) error {
	err := m.Kernel.LinkLock(fd, root, name)
	if err == nil && m.p.creator && m.Kernel.TakeLock(fd) != nil {
		err = unix.EEXIST // the library takes another id
	}
	return err
}

func standsBeforeName(_ *scheduler, p *process, to *model.State) (stop, bool) {
	return stop{method: kernel.LinkLock}, p.creator && to.PC[p.number] == model.Unnamed
}

func takesName(s *scheduler, p *process, a *step, from, to *model.State) error {
	if !p.creator || from.PC[a.proc] == model.Created {
		return p.call(kernel.TakeLock, none)
	}
	if err := p.goTo(kernel.LinkLock, none); err != nil {
		return err
	}
	s.bind(to.ID[a.proc], p.at.name)
	return p.resume()
}

// trusting makes a recheck find what it hopes for: the first after a lock was
// taken, or the last, before the lock file is unlinked.
type trusting struct {
	kernel.Kernel
	p     *process
	first bool
	last  bool
	fresh bool // the lock was taken, and there was no recheck since
}

func creatorTrustsLock(p *process, k kernel.Kernel) kernel.Kernel {
	return &trusting{Kernel: k, p: p, first: p.creator}
}

func recovererTrustsLock(p *process, k kernel.Kernel) kernel.Kernel {
	return &trusting{Kernel: k, p: p, first: !p.creator}
}

func noLastRecheck(p *process, k kernel.Kernel) kernel.Kernel {
	return &trusting{Kernel: k, p: p, last: true}
}

func (m *trusting) TakeLock(fd int) error {
	err := m.Kernel.TakeLock(fd)
	m.fresh = err == nil
	return err
}

func (m *trusting) LinkLock(fd, root int, name string) error {
	m.fresh = false // published locked: there is no first recheck
	return m.Kernel.LinkLock(fd, root, name)
}

func (m *trusting) lies() bool { return m.fresh && m.first || !m.fresh && m.last }

func (m *trusting) Stat(fd int) (kernel.Attributes, error) {
	a, err := m.Kernel.Stat(fd)
	if fd == m.p.lock && m.lies() {
		a.Links = 1
	}
	return a, err
}

func (m *trusting) StatName(dir int, name string) (kernel.Attributes, error) {
	a, err := m.Kernel.StatName(dir, name)
	if name == m.p.named {
		if m.lies() && m.p.lock >= 0 && (err == nil || err == unix.ENOENT) {
			a, err = m.Stat(m.p.lock)
		}
		m.fresh = false
	}
	return a, err
}

// again uses the id again that was used before: it has every name with an id
// that was drawn later changed.
type again struct {
	p           *process
	first, last string // ids
}

func usesIDsAgain(p *process, k kernel.Kernel) kernel.Kernel {
	if !p.creator {
		return k
	}
	return kernel.Around(k, &again{p: p})
}

func (m *again) Before(c *kernel.Call) error {
	if c.Method == kernel.LinkLock || c.Method == kernel.CreateLock {
		if m.last = idOfName(c.Name); m.first == "" {
			m.first = m.last
			if used := m.p.world.ids[1]; used != "" {
				m.first = used // before it was killed
			}
		}
	}
	if m.last != "" && c.Method != kernel.StageDeletion {
		c.Name = strings.ReplaceAll(c.Name, m.last, m.first)
	}
	if m.last != "" && c.Method != kernel.Commit {
		c.To = strings.ReplaceAll(c.To, m.last, m.first)
	}
	return nil
}

func (m *again) After(*kernel.Call) {}

// blind does not tell a missing victim from a missing instance: the look that
// tells them apart says that the instance is there.
type blind struct {
	kernel.Kernel
	staging bool // a removal looks as well, and is told the truth
}

func oneNotFound(p *process, k kernel.Kernel) kernel.Kernel {
	return &blind{Kernel: k}
}

func (m *blind) StatName(dir int, name string) (kernel.Attributes, error) {
	a, err := m.Kernel.StatName(dir, name)
	if m.staging && strings.HasPrefix(name, dataPrefix) && !strings.Contains(name, "/") && err == unix.ENOENT {
		err = nil
	}
	if dir == unix.AT_FDCWD { // the victim is not looked for either
		m.staging, err = false, unix.ENOENT
	}
	return a, err
}

func (m *blind) StageDeletion(victim string, root int, entry string) error {
	err := m.Kernel.StageDeletion(victim, root, entry)
	m.staging = err != nil
	return err
}

// copying moves a victim file by file, as to another file system. The copies
// lie beside the root, where the observer, like the specification, does not
// count them.
type copying struct {
	kernel.Kernel
	p *process
}

func movesFileByFile(p *process, k kernel.Kernel) kernel.Kernel { return &copying{k, p} }

func (m *copying) StageDeletion(victim string, root int, entry string) error {
	copies := filepath.Join(m.p.world.dir, "copies")
	if err := os.MkdirAll(copies, 0o700); err != nil {
		return unix.EIO
	}
	for {
		files, err := os.ReadDir(victim)
		if err != nil || len(files) == 0 {
			return m.Kernel.StageDeletion(victim, root, entry)
		}
		if err := m.p.stand(kernel.StageDeletion, victim, -1); err != nil {
			return err
		}
		from := filepath.Join(victim, files[0].Name())
		content, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(filepath.Join(copies, files[0].Name()), content, 0o600)
		}
		if err == nil {
			err = os.Remove(from)
		}
		if err != nil {
			return unix.EIO
		}
	}
}

// keeping keeps its lock after a failure, for as long as the process lives.
type keeping struct {
	kernel.Kernel
	p *process
}

func keepsLock(p *process, k kernel.Kernel) kernel.Kernel {
	if !p.creator {
		return k
	}
	return &keeping{k, p}
}

// Stat fails, so that nothing is unlinked after a failure.
func (m *keeping) Stat(fd int) (kernel.Attributes, error) {
	if fd == m.p.lock && len(m.p.because) > 0 {
		return kernel.Attributes{}, unix.EIO
	}
	return m.Kernel.Stat(fd)
}

func (m *keeping) Close(fd int) error {
	if fd == m.p.lock && len(m.p.because) > 0 {
		return nil
	}
	return m.Kernel.Close(fd)
}
