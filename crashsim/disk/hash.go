//go:build linux

package disk

// mix spreads the bits of x (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// text hashes a name (FNV-1a, mixed).
func text(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return mix(h)
}

// key is what one name adds to the hash of the tree, and to which part of it.
// Nothing in it depends on inode numbers or on the order of events.
func (d *Disk) key(dir int32, name string, n int32) (group uint8, key uint64) {
	of := &d.nodes[n]
	group = max(of.group, d.nodes[dir].group)
	h := text(name)
	if of.top {
		h = 1
	}
	return group, mix(d.nodes[dir].label + mix(h+mix(of.label)))
}

// Hash is a hash of all names, with what they refer to, and of what was saved
// with [Process.Save]: equal for equal trees, whatever happened before. Parts
// that were declared symmetric ([Process.Symmetric]) may be swapped.
//
// As in TLC, two trees with one hash are taken for one tree; with 10^7 trees
// the odds of that are below one in 100,000.
func (d *Disk) Hash() uint64 { return Fold(d.sums) }

// A Sum is what [Fold] makes a hash of: a sum for every part of the tree.
type Sum = [maxGroups]uint64

// Fold makes one hash of the sums of all parts.
func Fold(sums Sum) uint64 {
	h := mix(sums[0])
	for _, sum := range sums[1:] {
		h += mix(sum ^ 0x5bd1e995)
	}
	return mix(h)
}

// relabel gives a node that got its first name an identity of its own: where it
// was made. A file needs none.
func (d *Disk) relabel(dir int32, name string, n int32) {
	if of := &d.nodes[n]; of.directory {
		h := text(name)
		if of.top {
			h = 1
		}
		of.label = mix(d.nodes[dir].label ^ h)
		of.group = max(of.group, d.nodes[dir].group)
	}
}

// Volatile is a hash of what the processes hold: for every descriptor the file
// and its name, the position of a listing, and whether the lock is taken by it.
// Files are told apart by who holds them, not by their numbers.
func (d *Disk) Volatile() uint64 {
	h := uint64(0)
	d.held = d.held[:0]
	for _, p := range d.processes {
		for i, f := range p.fds {
			if f == nil {
				continue
			}
			x := text(f.position) + uint64(i)
			of := &d.nodes[f.node]
			if of.directory {
				x += mix(of.label + uint64(of.links&1))
			} else {
				x += mix(d.nameKey(f.node) + uint64(d.identify(f.node)))
			}
			if of.locker == f {
				x += 0x51ed270b
			}
			h = mix(h ^ mix(x))
		}
		h = mix(h + 7)
	}
	return h
}

// nameKey is the key of a file's name, or 0 if it has none.
func (d *Disk) nameKey(n int32) uint64 {
	of := &d.nodes[n]
	if of.links == 0 {
		return 0
	}
	for _, e := range d.nodes[of.parent].entries {
		if e.node == n {
			_, key := d.key(of.parent, e.name, n)
			return key
		}
	}
	return 1
}

// identify numbers the files that are held in the order in which they are met.
func (d *Disk) identify(n int32) int {
	for i, held := range d.held {
		if held == n {
			return i
		}
	}
	d.held = append(d.held, n)
	return len(d.held) - 1
}
