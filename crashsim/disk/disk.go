//go:build linux

package disk

import (
	"io/fs"
	"slices"
	"strings"
)

// Options are what a disk is like.
type Options struct {
	Ordered   bool // what OpenRoot answers: the caller need not sync
	NoUnnamed bool // O_TMPFILE is not supported
	Batch     int  // entries that one call of List returns; 0: all
}

// A Disk is one file system in memory. One goroutine at a time calls its methods,
// and those of its processes; each call is one atomic step. It is for trees of
// up to a few hundred names: a directory is searched from its start.
//
// Memory is used again by [Disk.Restore], so that a disk can go through
// millions of trees.
type Disk struct {
	Options

	nodes     []node // by index, which is never used again within one journal; nodes[0] is "/"
	numbers   []bool // inode numbers in use
	sums      [maxGroups]uint64
	processes []*Process
	journal   []Change
	recording bool
	held      []int32 // memory of Volatile
}

// maxGroups bounds how many symmetric parts a tree has; group 0 is the rest.
const maxGroups = 8

// root is the node of "/".
const root int32 = 0

// A node is an inode.
type node struct {
	directory bool
	linkable  bool // made without a name, and never had one
	top       bool // the symmetric part's own name does not matter
	group     uint8
	links     int32        // names; 2 and the subdirectories, of a directory; 0: no name
	open      int32        // open file descriptions
	number    int32        // inode number
	parent    int32        // the directory of the name that was made last
	label     uint64       // identity for hashing: equal in equal trees of different runs
	entries   []entry      // in the order of names
	locker    *description // who has the lock
	data      []byte
}

// An entry is one name in a directory. They are kept in order, so that a listing
// does not depend on what happened before.
type entry struct {
	name string
	node int32
}

// New returns a disk with an empty directory "/".
func New(options Options) *Disk {
	d := &Disk{Options: options}
	d.nodes = append(d.nodes, node{directory: true, links: 2, label: mix(1)})
	d.nodes[root].number = d.freeNumber()
	return d
}

func (d *Disk) freeNumber() int32 {
	for i, used := range d.numbers {
		if !used {
			d.numbers[i] = true
			return int32(i + 1)
		}
	}
	d.numbers = append(d.numbers, true)
	return int32(len(d.numbers))
}

// make adds a node without a name.
func (d *Disk) make(directory bool) int32 {
	n := int32(len(d.nodes))
	d.extend(n)
	made := &d.nodes[n]
	made.directory, made.parent = directory, -1
	made.number = d.freeNumber()
	made.label = mix(uint64(made.kind()) + 2)
	return n
}

// kind has the type bits of the node.
func (n *node) kind() fs.FileMode {
	if n.directory {
		return fs.ModeDir
	}
	return 0
}

// extend makes nodes up to index n exist, using the memory of former ones.
func (d *Disk) extend(n int32) {
	for int32(len(d.nodes)) <= n {
		if len(d.nodes) < cap(d.nodes) {
			d.nodes = d.nodes[:len(d.nodes)+1]
			last := &d.nodes[len(d.nodes)-1]
			*last = node{entries: last.entries[:0]}
		} else {
			d.nodes = append(d.nodes, node{})
		}
	}
}

// drop frees the inode number of a node that has neither name nor description.
func (d *Disk) drop(n int32) {
	if of := &d.nodes[n]; of.links == 0 && of.open == 0 && of.number > 0 {
		d.numbers[of.number-1] = false
		of.number = 0
	}
}

// find returns the node that name in the directory refers to, or -1.
func (d *Disk) find(dir int32, name string) int32 {
	for i := range d.nodes[dir].entries {
		if e := &d.nodes[dir].entries[i]; e.name == name {
			return e.node
		}
	}
	return -1
}

// add gives n the name in the directory.
func (d *Disk) add(dir int32, name string, n int32) {
	to, of := &d.nodes[dir], &d.nodes[n]
	i, _ := slices.BinarySearchFunc(to.entries, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
	to.entries = slices.Insert(to.entries, i, entry{name, n})
	of.linkable = false
	of.parent = dir
	if of.directory {
		if of.links == 0 {
			of.links = 2
		}
		to.links++
	} else {
		of.links++
	}
	group, key := d.key(dir, name, n)
	d.sums[group] += key
}

// remove takes the name in the directory away. A directory without a name is
// gone; rename calls add at once.
func (d *Disk) remove(dir int32, name string) (n int32) {
	from := &d.nodes[dir]
	for i := range from.entries {
		if from.entries[i].name != name {
			continue
		}
		n = from.entries[i].node
		from.entries = append(from.entries[:i], from.entries[i+1:]...)
		break
	}
	of := &d.nodes[n]
	if of.directory {
		of.links -= 2 // its parent stays what it was, as for ".." in the kernel
		from.links--
	} else {
		of.links--
	}
	group, key := d.key(dir, name, n)
	d.sums[group] -= key
	return n
}

// beneath reports whether n is dir or lies below it.
func (d *Disk) beneath(n, dir int32) bool {
	for n >= 0 && n != dir {
		if n == root {
			return false
		}
		n = d.nodes[n].parent
	}
	return n == dir
}
