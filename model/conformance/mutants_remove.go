//go:build linux

package conformance

import (
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model"
)

// This file is the half of MutantsRecover.tla about removal.

// lockFirst unlinks the lock file before it looks at the data.
type lockFirst struct {
	kernel.Kernel
	p *process
}

func lockFileFirst(p *process, k kernel.Kernel) kernel.Kernel { return &lockFirst{k, p} }

func (m *lockFirst) OpenDirectory(dir int, name string) (fd int, err error) {
	if name == "." || dir != m.p.root {
		return m.Kernel.OpenDirectory(dir, name)
	}
	if err := m.p.stand(kernel.OpenDirectory, name, -1); err != nil {
		return -1, err
	}
	fd = -1
	err = m.p.join(func() (err error) {
		_ = m.Kernel.RemoveLock(dir, m.p.named)
		fd, err = m.Kernel.OpenDirectory(dir, name)
		return err
	})
	return fd, err
}

// lockInside has the lock file inside the data directory, as far as its removal
// goes: it is unlinked among the files of a tree. It keeps its name, by which
// others find it.
type lockInside struct {
	kernel.Kernel
	p *process
}

func lockInsideData(p *process, k kernel.Kernel) kernel.Kernel { return &lockInside{k, p} }

func (m *lockInside) List(fd int, entries []kernel.Entry) ([]kernel.Entry, error) {
	if m.p.of(fd).kind != entryKind || m.p.hides {
		return m.Kernel.List(fd, entries)
	}
	for {
		if err := m.p.stand(kernel.List, "", fd); err != nil {
			return entries, err
		}
		// Whose lock file it is by now, it does not know.
		if m.p.grant.errno != 0 || !m.named() {
			break
		}
		_ = m.p.join(func() error { return m.Kernel.RemoveLock(m.p.root, m.p.named) })
	}
	err := m.p.join(func() (err error) {
		entries, err = m.Kernel.List(fd, entries)
		return err
	})
	return entries, err
}

func (m *lockInside) named() bool {
	var stat unix.Stat_t
	return m.p.named != "" && unix.Fstatat(m.p.root, m.p.named, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil
}

// unlocking closes the lock file before it unlinks it.
type unlocking struct {
	kernel.Kernel
	p      *process
	closed int // what the library will close once more
}

func unlockThenUnlink(p *process, k kernel.Kernel) kernel.Kernel { return &unlocking{k, p, -1} }

func (m *unlocking) RemoveLock(root int, name string) error {
	m.closed = m.p.lock
	_ = m.Kernel.Close(m.p.lock)
	return m.Kernel.RemoveLock(root, name)
}

func (m *unlocking) Close(fd int) error {
	if fd == m.closed {
		m.closed = -1
		return nil
	}
	return m.Kernel.Close(fd)
}

func standsBeforeUnlock(_ *scheduler, p *process, to *model.State) (stop, bool) {
	return stop{method: kernel.Close}, to.PC[p.number] == model.Verified && to.Fd[p.number] != model.None
}

func takesUnlock(_ *scheduler, p *process, a *step, from, _ *model.State) error {
	if from.Fd[a.proc] != model.None {
		return p.call(kernel.Close, none)
	}
	return p.call(kernel.RemoveLock, none)
}

// crossing enters whatever is a directory.
type crossing struct {
	kernel.Kernel
	p *process
}

func crossesMounts(p *process, k kernel.Kernel) kernel.Kernel { return &crossing{k, p} }

func (m *crossing) OpenDirectory(dir int, name string) (int, error) {
	if m.p.of(dir).kind < dataKind {
		return m.Kernel.OpenDirectory(dir, name)
	}
	if m.p.dead {
		return -1, unix.EBADF
	}
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == nil {
		m.p.opened(fd, entryKind, m.p.world.itemOf(fd))
	}
	return fd, err
}

func entersMount(_ *scheduler, p *process, a *step, _, _ *model.State) error {
	p.grant.show = a.item
	return p.call(kernel.List, none)
}

// unlinking unlinks the lock file of what it could not remove.
type unlinking struct {
	kernel.Kernel
	p *process
}

func failureUnlinks(p *process, k kernel.Kernel) kernel.Kernel {
	if p.creator {
		return k
	}
	return &unlinking{k, p}
}

func (m *unlinking) Close(fd int) error {
	if fd == m.p.lock && len(m.p.because) > 0 {
		held, err := m.Kernel.Stat(fd)
		if named, nerr := m.Kernel.StatName(m.p.root, m.p.named); err == nil && nerr == nil && named.Inode == held.Inode {
			_ = m.Kernel.RemoveLock(m.p.root, m.p.named)
		}
	}
	return m.Kernel.Close(fd)
}

// missing takes data that is gone for a failure.
type missing struct {
	kernel.Kernel
	p *process
}

func missingDataFails(p *process, k kernel.Kernel) kernel.Kernel { return &missing{k, p} }

func (m *missing) OpenDirectory(dir int, name string) (int, error) {
	fd, err := m.Kernel.OpenDirectory(dir, name)
	if err == unix.ENOENT && dir == m.p.root {
		err = unix.EIO
		m.p.fails(err) // the caller will hear of it
	}
	return fd, err
}

// returning moves the whole trees of a dead owner to where their callers know
// them, instead of removing them: additions, or victims.
type returning struct {
	kernel.Kernel
	p       *process
	victims bool
}

func finishesCommit(p *process, k kernel.Kernel) kernel.Kernel { return returningTo(p, k, false) }
func putsVictimBack(p *process, k kernel.Kernel) kernel.Kernel { return returningTo(p, k, true) }

func returningTo(p *process, k kernel.Kernel, victims bool) kernel.Kernel {
	if p.creator {
		return k
	}
	return &returning{k, p, victims}
}

func (m *returning) OpenDirectory(dir int, name string) (int, error) {
	w := m.p.world
	x := model.Item(0)
	if m.p.of(dir).kind == dataKind {
		for y := 1; y < itemCount; y++ {
			if w.seen.entry[y] == name && name != "" {
				x = model.Item(y)
			}
		}
	}
	if x == 0 || w.isVictim(x) != m.victims || int(w.seen.files[x]) != w.files {
		return m.Kernel.OpenDirectory(dir, name)
	}
	if m.p.dead {
		return -1, unix.EBADF
	}
	if err := m.p.join(func() error {
		return m.Kernel.Commit(m.p.root, filepath.Join(dataPrefix+idOfName(m.p.named), name), w.home(x))
	}); err != nil {
		return -1, err
	}
	return -1, unix.ENOENT // nothing is left to remove
}
