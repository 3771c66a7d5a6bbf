//go:build linux

package disk

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// A Found is one name that [Disk.Walk] found.
type Found struct {
	Path    string
	Kind    fs.FileMode // type bits
	Node    int32
	Links   int
	Content string // of a file
}

// Walk visits every name, parents first, in the order of the names of each directory.
func (d *Disk) Walk(visit func(Found)) { d.walkBelow("", root, visit) }

func (d *Disk) walkBelow(path string, dir int32, visit func(Found)) {
	for _, e := range d.nodes[dir].entries {
		of, below := &d.nodes[e.node], path+"/"+e.name
		visit(Found{below, of.kind(), e.node, int(of.links), string(of.data)})
		d.walkBelow(below, e.node, visit)
	}
}

// Find returns the node that the name in the directory refers to, or -1.
func (d *Disk) Find(dir int32, name string) int32 { return d.find(dir, name) }

// Root is the node of "/".
func (d *Disk) Root() int32 { return root }

// Parent is the directory that a directory is in, or was in last.
func (d *Disk) Parent(dir int32) int32 { return d.nodes[dir].parent }

// Content is what a file contains. It must not be changed.
func (d *Disk) Content(n int32) []byte { return d.nodes[n].data }

// Holder is the number of the process that has the lock of the node, or -1.
func (d *Disk) Holder(n int32) int {
	if f := d.nodes[n].locker; f != nil {
		return f.process
	}
	return -1
}

// Lookup returns the node at path, or an errno.
func (p *Process) Lookup(path string) (int32, error) { return p.walk(unix.AT_FDCWD, path) }

// NameIn is the name in the directory that refers to the node, or "".
func (d *Disk) NameIn(dir, node int32) string {
	for _, e := range d.nodes[dir].entries {
		if e.node == node {
			return e.name
		}
	}
	return ""
}
