//go:build linux

package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// A Found is one name that [Disk.Walk] found.
type Found struct {
	Path      string
	Kind      fs.FileMode // type bits
	Perm      fs.FileMode
	Node      int32
	Links     int
	Immutable bool
	Content   string // of a file, or the target of a symbolic link
}

// Walk visits every name, parents first, in the order in which they were made.
func (d *Disk) Walk(visit func(Found)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.walkBelow("", root, visit)
}

func (d *Disk) walkBelow(path string, dir int32, visit func(Found)) {
	for _, e := range d.nodes[dir].entries {
		of := &d.nodes[e.node]
		content := of.target
		if of.kind == 0 {
			content = string(of.data)
		}
		below := path + "/" + e.name
		visit(Found{below, of.kind, of.perm, e.node, int(of.links), of.immutable, content})
		if of.kind == fs.ModeDir {
			d.walkBelow(below, e.node, visit)
		}
	}
}

// Find returns the node that the name in the directory refers to, or -1.
func (d *Disk) Find(dir int32, name string) int32 { return d.find(dir, name) }

// Root is the node of "/".
func (d *Disk) Root() int32 { return root }

// Parent is the directory that a directory is in, or was in last.
func (d *Disk) Parent(dir int32) int32 { return d.nodes[dir].parent }

// IsDir reports whether a node is a directory.
func (d *Disk) IsDir(n int32) bool { return d.nodes[n].kind == fs.ModeDir }

// Content is what a file contains. It must not be changed.
func (d *Disk) Content(n int32) []byte { return d.nodes[n].data }

// Each calls visit for every name in the directory.
func (d *Disk) Each(dir int32, visit func(name string, node int32)) {
	for _, e := range d.nodes[dir].entries {
		visit(e.name, e.node)
	}
}

// Holder is the number of the process that has the lock of the node, or -1.
func (d *Disk) Holder(n int32) int {
	if f := d.nodes[n].locker; f != nil {
		return f.process
	}
	return -1
}

// NodeOf is the node that a process's descriptor refers to, or -1.
func (p *Process) NodeOf(fd int) int32 {
	if f, err := p.fd(fd); err == nil {
		return f.node
	}
	return -1
}

// Lookup returns the node at path, following symbolic links, or an errno.
func (p *Process) Lookup(path string) (int32, error) {
	if err := p.begin(); err != nil {
		return -1, err
	}
	defer p.end()
	at, err := p.walkAt(unix.AT_FDCWD, path, resolve{follow: true})
	return at.node, err
}

// NameIn is the name in the directory that refers to the node, or "".
func (d *Disk) NameIn(dir, node int32) string {
	for _, e := range d.nodes[dir].entries {
		if e.node == node {
			return e.name
		}
	}
	return ""
}

// Each calls visit for every descriptor that is open, in order.
func (p *Process) Each(visit func(fd int, node int32)) {
	for i, f := range p.fds {
		if f != nil {
			visit(firstFd+i, f.node)
		}
	}
}
