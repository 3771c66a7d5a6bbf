//go:build linux

package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// This file is the half of kernel.Kernel that changes names.

func (p *Process) LinkLock(fd, dir int, name string) error {
	f, err := p.fd(fd)
	if err != nil {
		return unix.ENOENT // there is no /proc/self/fd/<fd>
	}
	at, err := p.parent(dir, name)
	if err == nil {
		err = p.disk.vacant(at)
	}
	if err != nil {
		return err
	}
	switch of := &p.disk.nodes[f.node]; {
	case of.directory:
		return unix.EPERM
	case of.links == 0 && !of.linkable:
		return unix.ENOENT
	}
	p.link(f.node, at)
	return nil
}

func (p *Process) MakeData(dir int, name string) error {
	_, err := p.make(dir, name, true)
	return err
}

// make makes a file or a directory.
func (p *Process) make(dir int, name string, directory bool) (n int32, err error) {
	at, err := p.parent(dir, name)
	if err == nil {
		err = p.disk.vacant(at)
	}
	if err != nil {
		return -1, err
	}
	n = p.disk.make(directory)
	p.disk.relabel(at.Dir, at.Name, n)
	p.link(n, at)
	return n, nil
}

func (p *Process) RemoveLock(dir int, name string) error      { return p.remove(dir, name, false) }
func (p *Process) RemoveData(dir int, name string) error      { return p.remove(dir, name, true) }
func (p *Process) RemoveEntry(dir int, name string) error     { return p.remove(dir, name, false) }
func (p *Process) RemoveDirectory(dir int, name string) error { return p.remove(dir, name, true) }

func (p *Process) remove(dir int, name string, directory bool) error {
	at, err := p.parent(dir, name)
	if err != nil {
		return err
	}
	n, err := p.disk.taken(at)
	switch {
	case err != nil:
		return err
	case directory && !p.disk.nodes[n].directory:
		return unix.ENOTDIR
	case !directory && p.disk.nodes[n].directory:
		return unix.EISDIR
	case len(p.disk.nodes[n].entries) > 0:
		return unix.ENOTEMPTY
	}
	p.unlink(n, at)
	return nil
}

func (p *Process) StageDeletion(victim string, dir int, entry string) error {
	return p.rename(unix.AT_FDCWD, victim, dir, entry)
}

func (p *Process) Commit(dir int, entry, destination string) error {
	return p.rename(dir, entry, unix.AT_FDCWD, destination)
}

func (p *Process) Hoist(dir int, name string, data int, hoisted string) error {
	return p.rename(dir, name, data, hoisted)
}

// rename is renameat2 with RENAME_NOREPLACE.
func (p *Process) rename(fromDir int, from string, toDir int, to string) error {
	a, err := p.parent(fromDir, from)
	if err != nil {
		return err
	}
	b, err := p.parent(toDir, to)
	if err != nil {
		return err
	}
	n, err := p.disk.taken(a)
	if err == nil {
		err = p.disk.vacant(b)
	}
	if err == nil && p.disk.nodes[n].directory && p.disk.beneath(b.Dir, n) {
		err = unix.EINVAL
	}
	if err == nil {
		p.move(n, a, b)
	}
	return err
}

// What follows is for what is in the way on other file systems.

func (p *Process) ChangeMode(int, string, fs.FileMode) error { return unix.ENOSYS }
func (p *Process) ClearFlags(int, string) (int, error)       { return 0, unix.ENOSYS }
func (p *Process) SetFlags(int, string, int) error           { return unix.ENOSYS }
func (p *Process) Detach(int, string) error                  { return unix.ENOSYS }
func (p *Process) CommitPlainly(int, string, string) error   { return unix.ENOSYS }
func (p *Process) LinkEntry(int, string, string) error       { return unix.ENOSYS }
