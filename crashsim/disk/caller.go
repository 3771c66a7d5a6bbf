//go:build linux

package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// This file is what callers of the library, and tests, do besides: the calls
// of a store or of a stranger. Paths are resolved from "/"; errors are bare
// errnos, as in kernel.Kernel.

// Mkdir makes a directory.
func (p *Process) Mkdir(path string) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	return p.mkdir(unix.AT_FDCWD, path)
}

// Make makes a node of the type that has a name and the content: a file, a
// named pipe or a socket, or a symbolic link to the content.
func (p *Process) Make(path string, kind fs.FileMode, content string) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	l, err := p.parentAt(unix.AT_FDCWD, path)
	if err != nil {
		return err
	}
	if err := p.disk.vacant(l); err != nil {
		return err
	}
	if l.slashes {
		return unix.ENOENT
	}
	if err := p.disk.mayCreate(l.dir.node); err != nil {
		return err
	}
	n := p.disk.make(kind, 0o600)
	if kind == fs.ModeSymlink {
		p.disk.nodes[n].target = content
		p.disk.nodes[n].perm = 0o777
	} else {
		p.disk.nodes[n].data = []byte(content)
	}
	p.link(n, Name{l.dir.node, l.name})
	p.disk.drop(n)
	return nil
}

// Save puts a new file with the content at path, over whatever file is there,
// as stores save their metadata: write another file, fsync it, rename it over
// the old one. It is one change, the rename; see Flag in spec/PowerLoss.tla.
func (p *Process) Save(path, content string) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	l, err := p.parentAt(unix.AT_FDCWD, path)
	if err != nil {
		return err
	}
	d := p.disk
	if !l.ordinary() || l.slashes {
		return unix.EISDIR
	}
	over, err := d.exists(l)
	switch {
	case err != nil:
		return err
	case over >= 0 && d.nodes[over].kind == fs.ModeDir:
		return unix.EISDIR
	}
	if err := d.mayCreate(l.dir.node); err != nil {
		return err
	}
	n := d.make(0, 0o600)
	of := &d.nodes[n]
	of.data, of.label = []byte(content), text(content)
	if over >= 0 {
		of.group, of.top = d.nodes[over].group, d.nodes[over].top
	}
	p.save(n, Name{l.dir.node, l.name}, over)
	return nil
}

// Rename renames, never over an existing name.
func (p *Process) Rename(from, to string) error {
	return p.rename(unix.AT_FDCWD, from, unix.AT_FDCWD, to)
}

// Remove removes a name of any type; a directory must be empty.
func (p *Process) Remove(path string) error {
	err := p.RemoveEntry(unix.AT_FDCWD, path)
	if err == unix.EISDIR {
		err = p.RemoveDirectory(unix.AT_FDCWD, path)
	}
	return err
}

// Sync is fsync of a directory.
func (p *Process) Sync(path string) error {
	return p.at(path, func(at place) { p.sync(at.node) })
}

// Chmod sets the owner's permissions of what path refers to.
func (p *Process) Chmod(path string, perm fs.FileMode) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	at, err := p.walkAt(unix.AT_FDCWD, path, resolve{follow: true})
	switch {
	case err != nil:
		return err
	case p.disk.nodes[at.node].immutable:
		return unix.EPERM
	}
	p.disk.nodes[at.node].perm = perm
	return nil
}

// SetImmutable sets or clears the immutable flag, which takes privilege.
func (p *Process) SetImmutable(path string, immutable bool) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	at, err := p.walkAt(unix.AT_FDCWD, path, resolve{follow: true})
	if err != nil {
		return err
	}
	switch of := &p.disk.nodes[at.node]; {
	case of.kind == fs.ModeSocket:
		return unix.ENXIO
	case of.kind != 0 && of.kind != fs.ModeDir:
		return unix.ENOTTY
	case !p.disk.Privileged:
		return unix.EPERM
	default:
		of.immutable = immutable
	}
	return nil
}

// Mount mounts a directory on itself, so that a mount is in the way for
// everybody who looks it up from now on.
func (p *Process) Mount(path string) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	at, err := p.walkAt(unix.AT_FDCWD, path, resolve{follow: true})
	if err == nil && p.disk.nodes[at.node].kind != fs.ModeDir {
		err = unix.ENOTDIR
	}
	if err == nil {
		p.disk.nodes[at.node].mount = true
	}
	return err
}

// Symmetric declares what path refers to, and what is below it, to be part
// group of the tree, from 1 to 7. Parts whose contents are equal may be swapped
// without changing the tree's hash, and the part's own name does not count.
func (p *Process) Symmetric(path string, group uint8) error {
	return p.at(path, func(at place) {
		d := p.disk
		d.nodes[at.node].top = true
		d.regroup(at.node, d.nodes[at.node].parent, group)
		d.resum()
	})
}

// regroup gives a node and all below it the part, and the identities that the
// same node has in every part.
func (d *Disk) regroup(n, dir int32, group uint8) {
	of := &d.nodes[n]
	of.group = group
	if of.kind == fs.ModeDir {
		of.label = mix(d.nodes[dir].label ^ 1)
	}
	for _, e := range of.entries {
		d.regroupBelow(n, e, group)
	}
}

func (d *Disk) regroupBelow(dir int32, e entry, group uint8) {
	of := &d.nodes[e.node]
	of.group = group
	if of.kind == fs.ModeDir {
		of.label = mix(d.nodes[dir].label ^ text(e.name))
	}
	for _, below := range of.entries {
		d.regroupBelow(e.node, below, group)
	}
}

// resum computes the sums of the tree from its names.
func (d *Disk) resum() {
	d.sums = Sum{}
	for dir := range d.nodes {
		for _, e := range d.nodes[dir].entries {
			group, key := d.key(int32(dir), e.name, e.node)
			d.sums[group] += key
		}
	}
}

// at does something to what path refers to.
func (p *Process) at(path string, do func(at place)) error {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.end()
	at, err := p.walkAt(unix.AT_FDCWD, path, resolve{follow: true})
	if err == nil {
		do(at)
	}
	return err
}
