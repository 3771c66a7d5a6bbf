//go:build linux

package conformance

import (
	"strings"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
)

// This file is the half of MutantsRecover.tla about how a recoverer comes to
// hold an instance.

// remembering looks at the name before it opens it, and compares the name with
// the number that it saw then, not with the file that it holds.
//
// Numbers are those of the specification: the lowest that is free. ext4 hands
// out numbers like that, tmpfs never uses one again; so the mutant does not
// depend on either.
type remembering struct {
	kernel.Kernel
	p        *process
	number   uint64 // or 0
	rechecks bool   // the next recheck is with the number
}

func remembersNumber(p *process, k kernel.Kernel) kernel.Kernel {
	return &remembering{Kernel: k, p: p}
}

func (m *remembering) OpenLock(root int, name string) (int, error) {
	seen, err := m.Kernel.StatName(root, name)
	if err != nil {
		return -1, err
	}
	m.number = uint64(m.p.world.number(seen.Inode))
	return m.Kernel.OpenLock(root, name)
}

func (m *remembering) TakeLock(fd int) error {
	m.rechecks = m.number != 0
	return m.Kernel.TakeLock(fd)
}

func (m *remembering) Stat(fd int) (kernel.Attributes, error) {
	a, err := m.Kernel.Stat(fd)
	if fd == m.p.lock && m.rechecks {
		a.Inode, a.Links = m.number, 1
	}
	return a, err
}

func (m *remembering) StatName(dir int, name string) (kernel.Attributes, error) {
	a, err := m.Kernel.StatName(dir, name)
	if name == m.p.named && m.rechecks {
		a.Inode = uint64(m.p.world.number(a.Inode))
		m.number, m.rechecks = 0, false
	}
	return a, err
}

func (m *remembering) OpenUnnamed(root int) (int, error) {
	m.number = 0
	return m.Kernel.OpenUnnamed(root)
}

func standsBeforeLook(s *scheduler, p *process, to *model.State) (stop, bool) {
	at := stop{method: kernel.StatName, name: lockPrefix + s.world.ids[to.ID[p.number]]}
	return at, to.PC[p.number] == model.SawLock && to.Arg[p.number] == model.None
}

func takesLook(_ *scheduler, p *process, a *step, from, _ *model.State) error {
	if from.PC[a.proc] == model.SawLock && from.Arg[a.proc] != model.None {
		return p.call(kernel.OpenLock, none)
	}
	return p.call(kernel.StatName, none)
}

// creating opens with O_CREAT.
type creating struct {
	kernel.Kernel
	p *process
}

func openLockCreates(p *process, k kernel.Kernel) kernel.Kernel { return &creating{k, p} }

func (m *creating) OpenLock(root int, name string) (fd int, err error) {
	fd, err = m.Kernel.OpenLock(root, name)
	if err == unix.ENOENT {
		err = m.p.join(func() (err error) {
			fd, err = m.Kernel.CreateLock(root, name)
			return err
		})
	}
	return fd, err
}

// replacing gives its file the name, whoever has it.
type replacing struct {
	kernel.Kernel
	p *process
}

func linkReplaces(p *process, k kernel.Kernel) kernel.Kernel { return &replacing{k, p} }

func (m *replacing) LinkLock(fd, root int, name string) error {
	err := m.Kernel.LinkLock(fd, root, name)
	if err != unix.EEXIST {
		return err
	}
	return m.p.join(func() error {
		if err := m.Kernel.LinkLock(fd, root, "replacing"); err != nil {
			return err
		}
		return unix.Renameat(root, "replacing", root, name)
	})
}

// unlocked removes data without a lock file at once: what would be the lock
// file is none.
type unlocked struct {
	kernel.Kernel
	p *process
}

// noFile is the descriptor of the lock file that there is not.
const noFile = -2

func adoptsUnlocked(p *process, k kernel.Kernel) kernel.Kernel {
	if p.creator {
		return k
	}
	return &unlocked{k, p}
}

func (m *unlocked) OpenUnnamed(int) (int, error) {
	return noFile, m.p.stand(kernel.OpenUnnamed, "", -1)
}

func (m *unlocked) TakeLock(fd int) error {
	if fd == noFile {
		return nil
	}
	return m.Kernel.TakeLock(fd)
}

func (m *unlocked) WriteOwner(fd int, record []byte) error {
	if fd == noFile {
		return nil
	}
	return m.Kernel.WriteOwner(fd, record)
}

func (m *unlocked) LinkLock(fd, root int, name string) error {
	if fd == noFile {
		return nil
	}
	return m.Kernel.LinkLock(fd, root, name)
}

func (m *unlocked) Stat(fd int) (kernel.Attributes, error) {
	if fd == noFile {
		return kernel.Attributes{}, nil // and no name
	}
	return m.Kernel.Stat(fd)
}

func (m *unlocked) Close(fd int) error {
	if fd == noFile {
		return nil
	}
	return m.Kernel.Close(fd)
}

// listing changes what a listing of the root shows.
type listing struct {
	kernel.Kernel
	p     *process
	shows func(name string) bool
}

func (m *listing) List(fd int, entries []kernel.Entry) ([]kernel.Entry, error) {
	before := len(entries)
	entries, err := m.Kernel.List(fd, entries)
	if m.p.of(fd).kind != listingKind {
		return entries, err
	}
	kept := entries[:before]
	for _, e := range entries[before:] {
		if m.shows(e.Name) {
			kept = append(kept, e)
		}
	}
	return kept, err
}

func listsLocksOnly(p *process, k kernel.Kernel) kernel.Kernel {
	return &listing{k, p, func(name string) bool { return strings.HasPrefix(name, lockPrefix) }}
}

// listsOnChange recovers only while some creator is at work: the caller looks
// at its metadata, which changes then.
func listsOnChange(p *process, k kernel.Kernel) kernel.Kernel {
	return &listing{k, p, func(string) bool { return p.othersAtWork() }}
}

// posix takes POSIX locks, which belong to the operating system process.
type posix struct {
	kernel.Kernel
	p *process
}

func posixLocks(p *process, k kernel.Kernel) kernel.Kernel { return &posix{k, p} }

func (m *posix) TakeLock(fd int) error {
	if err := m.p.stand(kernel.TakeLock, "", -1); err != nil {
		return err
	}
	return unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
}

// tabled has a table of paths beside: what a goroutine of the process has open
// is not opened again by that path.
type tabled struct {
	posix
	s *scheduler
}

func (m *tabled) OpenLock(root int, name string) (int, error) {
	if err := m.p.stand(kernel.OpenLock, name, -1); err != nil {
		return -1, err
	}
	for _, q := range m.s.procs[1:] {
		if q != m.p && q.path == m.p.path && q.lock >= 0 && (q.named == name || !q.creator && lockPrefix+q.recovers == name) {
			return -1, unix.ENOENT
		}
	}
	fd := -1
	err := m.p.join(func() (err error) {
		fd, err = m.Kernel.OpenLock(root, name)
		return err
	})
	return fd, err
}

// lease is a lock that runs out: who wants it gets it, and its holder is not
// told. The mutant is the lock's server: it takes the lock back from whichever
// descriptor has it.
type lease struct {
	kernel.Kernel
	p *process
}

func leaseRunsOut(p *process, k kernel.Kernel) kernel.Kernel { return &lease{k, p} }

func (m *lease) TakeLock(fd int) error {
	if err := m.p.stand(kernel.TakeLock, "", -1); err != nil {
		return err
	}
	for _, q := range m.p.fleet {
		if q != nil && q != m.p && q.lock >= 0 && q.inode == m.p.inode {
			if err := unix.FcntlFlock(uintptr(q.lock), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK}); err != nil {
				return err
			}
		}
	}
	return m.p.join(func() error { return m.Kernel.TakeLock(fd) })
}

// othersAtWork says whether some creator is between Create and Close.
func (p *process) othersAtWork() bool {
	for _, q := range p.fleet {
		if q != nil && q.creator && q.at.place != atIdle {
			return true
		}
	}
	return false
}
