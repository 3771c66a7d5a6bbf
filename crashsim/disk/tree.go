//go:build linux

package disk

// A Tree is a copy of everything durable on a disk, for [Disk.Restore]. The
// zero value is for [Disk.Freeze] to fill.
type Tree struct {
	nodes []node
	sums  Sum
}

// Sums returns the sums of the tree's hash.
func (t *Tree) Sums() Sum { return t.sums }

// Freeze copies the disk's names into t, whose memory is used again. Nodes that
// only have descriptors are not copied: without power, or without the process,
// they are gone.
func (d *Disk) Freeze(t *Tree) {
	t.nodes = copyNodes(t.nodes, d.nodes)
	t.sums = d.sums
}

// Restore puts the disk into the state t and starts a new journal. Processes
// are restarted with their lowest keep descriptors, which must be of
// directories that t has; they are as if opened anew.
func (d *Disk) Restore(t *Tree, keep int) {
	for _, p := range d.processes {
		p.Restart(keep)
	}
	d.nodes = copyNodes(d.nodes, t.nodes)
	d.sums = t.sums
	clear(d.numbers)
	for _, p := range d.processes {
		for _, f := range p.fds {
			if f != nil {
				d.nodes[f.node].open++
				f.position = ""
			}
		}
	}
	for i := range d.nodes {
		// Numbers come anew, in order: two nodes of one journal may have had one
		// number, one after the other.
		of := &d.nodes[i]
		of.number = 0
		if of.links > 0 || of.open > 0 {
			of.number = d.freeNumber()
		}
	}
	d.Record()
}

func copyNodes(to, from []node) []node {
	for len(to) < len(from) {
		if len(to) < cap(to) {
			to = to[:len(to)+1]
		} else {
			to = append(to, node{})
		}
	}
	to = to[:len(from)]
	for i := range from {
		entries := append(to[i].entries[:0], from[i].entries...)
		to[i] = from[i]
		to[i].entries = entries
		to[i].locker, to[i].open = nil, 0
	}
	return to
}
