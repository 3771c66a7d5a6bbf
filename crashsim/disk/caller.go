//go:build linux

package disk

import "golang.org/x/sys/unix"

// This file is what callers of the library, and tests, do besides: the calls
// of a store or of a stranger. Paths are resolved from "/"; errors are bare
// errnos, as in kernel.Kernel.

// Mkdir makes a directory.
func (p *Process) Mkdir(path string) error { return p.MakeData(unix.AT_FDCWD, path) }

// Make makes an empty file.
func (p *Process) Make(path string) error {
	_, err := p.make(unix.AT_FDCWD, path, false)
	return err
}

// Save puts a new file with the content at path, over whatever file is there,
// as stores save their metadata: write another file, fsync it, rename it over
// the old one. It is one change, the rename; see Flag in spec/PowerLoss.tla.
func (p *Process) Save(path, content string) error {
	at, err := p.parent(unix.AT_FDCWD, path)
	if err != nil {
		return err
	}
	d := p.disk
	over := d.find(at.Dir, at.Name)
	if over >= 0 && d.nodes[over].directory {
		return unix.EISDIR
	}
	n := d.make(false)
	of := &d.nodes[n]
	of.data, of.label = []byte(content), text(content)
	if over >= 0 {
		of.group, of.top = d.nodes[over].group, d.nodes[over].top
	}
	p.save(n, at, over)
	return nil
}

// Rename renames, never over an existing name.
func (p *Process) Rename(from, to string) error {
	return p.rename(unix.AT_FDCWD, from, unix.AT_FDCWD, to)
}

// Remove removes a name; a directory must be empty.
func (p *Process) Remove(path string) error {
	err := p.RemoveEntry(unix.AT_FDCWD, path)
	if err == unix.EISDIR {
		err = p.RemoveDirectory(unix.AT_FDCWD, path)
	}
	return err
}

// Sync is fsync of a directory.
func (p *Process) Sync(path string) error {
	n, err := p.Lookup(path)
	if err == nil {
		p.sync(n)
	}
	return err
}

// Symmetric declares what path refers to, and what is below it, to be part
// group of the tree, from 1 to 7. Parts whose contents are equal may be swapped
// without changing the tree's hash, and the part's own name does not count.
func (p *Process) Symmetric(path string, group uint8) error {
	n, err := p.Lookup(path)
	if err != nil {
		return err
	}
	d := p.disk
	d.nodes[n].top = true
	d.regroup(n, mix(d.nodes[d.nodes[n].parent].label^1), group)
	d.sums = Sum{}
	for dir := range d.nodes {
		for _, e := range d.nodes[dir].entries {
			group, key := d.key(int32(dir), e.name, e.node)
			d.sums[group] += key
		}
	}
	return nil
}

// regroup gives a node and all below it the part, and directories the identities
// that the same ones have in every part.
func (d *Disk) regroup(n int32, label uint64, group uint8) {
	of := &d.nodes[n]
	of.group = group
	if of.directory {
		of.label = label
	}
	for _, e := range of.entries {
		d.regroup(e.node, mix(of.label^text(e.name)), group)
	}
}
