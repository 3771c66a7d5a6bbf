//go:build linux

package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// This file is the half of kernel.Kernel that changes names.

func (p *Process) LinkLock(fd, dir int, name string) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	d := p.disk
	f, err := p.fd(fd)
	if err != nil {
		return unix.ENOENT // there is no /proc/self/fd/<fd>
	}
	l, err := p.parentAt(dir, name)
	if err != nil {
		return err
	}
	if !l.ordinary() {
		return unix.EEXIST
	}
	switch n, err := d.exists(l); {
	case err != nil:
		return err
	case n >= 0:
		return unix.EEXIST
	case l.slashes:
		return unix.ENOENT
	case f.mount != l.dir.mount:
		return unix.EXDEV
	}
	if err := d.mayCreate(l.dir.node); err != nil {
		return err
	}
	of := &d.nodes[f.node]
	switch {
	case of.immutable, of.kind == fs.ModeDir:
		return unix.EPERM
	case of.links == 0 && !of.linkable:
		return unix.ENOENT
	}
	p.link(f.node, Name{l.dir.node, l.name})
	return nil
}

func (p *Process) MakeData(dir int, name string) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	return p.mkdir(dir, name)
}

func (p *Process) mkdir(dir int, name string) error {
	l, err := p.parentAt(dir, name)
	if err != nil {
		return err
	}
	if err := p.disk.vacant(l); err != nil {
		return err
	}
	if err := p.disk.mayCreate(l.dir.node); err != nil {
		return err
	}
	n := p.disk.make(fs.ModeDir, 0o700)
	p.disk.relabel(l.dir.node, l.name, n)
	p.link(n, Name{l.dir.node, l.name})
	return nil
}

// vacant reports whether a name can be made at the end of a path.
func (d *Disk) vacant(l last) error {
	if !l.ordinary() {
		return unix.EEXIST
	}
	switch n, err := d.exists(l); {
	case err != nil:
		return err
	case n >= 0:
		return unix.EEXIST
	}
	return nil
}

func (p *Process) RemoveLock(dir int, name string) error { return p.RemoveEntry(dir, name) }
func (p *Process) RemoveData(dir int, name string) error { return p.RemoveDirectory(dir, name) }

func (p *Process) RemoveEntry(dir int, name string) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	l, err := p.parentAt(dir, name)
	if err != nil {
		return err
	}
	if !l.ordinary() {
		return unix.EISDIR
	}
	n, err := p.disk.exists(l)
	switch {
	case err != nil:
		return err
	case n < 0:
		return unix.ENOENT
	case l.slashes && p.disk.nodes[n].kind == fs.ModeDir:
		return unix.EISDIR
	case l.slashes:
		return unix.ENOTDIR
	}
	if err := p.disk.mayDelete(l.dir.node, n, false); err != nil {
		return err
	}
	p.unlink(n, Name{l.dir.node, l.name})
	return nil
}

func (p *Process) RemoveDirectory(dir int, name string) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	l, err := p.parentAt(dir, name)
	if err != nil {
		return err
	}
	switch l.name {
	case "":
		return unix.EBUSY
	case ".":
		return unix.EINVAL
	case "..":
		return unix.ENOTEMPTY
	}
	n, err := p.disk.exists(l)
	switch {
	case err != nil:
		return err
	case n < 0:
		return unix.ENOENT
	}
	if err := p.disk.mayDelete(l.dir.node, n, true); err != nil {
		return err
	}
	switch of := &p.disk.nodes[n]; {
	case of.mount:
		return unix.EBUSY
	case len(of.entries) > 0:
		return unix.ENOTEMPTY
	}
	p.unlink(n, Name{l.dir.node, l.name})
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
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	d := p.disk
	a, err := p.parentAt(fromDir, from)
	if err != nil {
		return err
	}
	b, err := p.parentAt(toDir, to)
	switch {
	case err != nil:
		return err
	case a.dir.mount != b.dir.mount:
		return unix.EXDEV
	case !a.ordinary():
		return unix.EBUSY
	case !b.ordinary():
		return unix.EEXIST
	}
	n, err := d.exists(a)
	switch {
	case err != nil:
		return err
	case n < 0:
		return unix.ENOENT
	}
	over, err := d.exists(b)
	of := &d.nodes[n]
	directory := of.kind == fs.ModeDir
	switch {
	case err != nil:
		return err
	case over >= 0:
		return unix.EEXIST
	case !directory && (a.slashes || b.slashes):
		return unix.ENOTDIR
	case directory && d.beneath(b.dir.node, n):
		return unix.EINVAL
	}
	if err := d.mayDelete(a.dir.node, n, directory); err != nil {
		return err
	}
	if err := d.mayCreate(b.dir.node); err != nil {
		return err
	}
	if directory && a.dir.node != b.dir.node {
		if err := d.permit(n, mayWrite); err != nil {
			return err
		}
	}
	if of.mount {
		return unix.EBUSY
	}
	p.move(n, Name{a.dir.node, a.name}, Name{b.dir.node, b.name})
	return nil
}

func (p *Process) ChangeMode(dir int, name string, mode fs.FileMode) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	at, err := p.walkAt(dir, name, resolve{beneath: dir != unix.AT_FDCWD})
	if err != nil {
		return err
	}
	switch of := &p.disk.nodes[at.node]; {
	case of.kind != fs.ModeDir:
		return unix.ENOTDIR
	case of.immutable:
		return unix.EPERM
	default:
		of.perm = mode
	}
	return nil
}

// immutable is what the flag is to callers, as FS_IMMUTABLE_FL.
const immutable = unix.STATX_ATTR_IMMUTABLE

func (p *Process) ClearFlags(dir int, name string) (cleared int, err error) {
	err = p.changeFlags(dir, name, false, &cleared)
	return cleared, err
}

func (p *Process) SetFlags(dir int, name string, flags int) error {
	var was int
	return p.changeFlags(dir, name, flags&immutable != 0, &was)
}

func (p *Process) changeFlags(dir int, name string, set bool, cleared *int) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	at, err := p.openBeneath(dir, name)
	if err != nil {
		return err
	}
	of := &p.disk.nodes[at.node]
	switch {
	case of.kind != 0 && of.kind != fs.ModeDir:
		return unix.ENOTTY
	case of.immutable == set:
		return nil
	case !p.disk.Privileged:
		return unix.EPERM
	}
	if of.immutable {
		*cleared = immutable
	}
	of.immutable = set
	return nil
}

// Detach: nobody may unmount here.
func (p *Process) Detach(int, string) error { return unix.EPERM }

// CommitPlainly and LinkEntry are for file systems without RENAME_NOREPLACE,
// and the disk has it.
func (p *Process) CommitPlainly(int, string, string) error { return unix.ENOSYS }
func (p *Process) LinkEntry(int, string, string) error     { return unix.ENOSYS }
