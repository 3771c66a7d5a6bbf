package crashsim

import (
	"strings"

	"github.com/afterlock/afterlock/internal/kernel"
)

// A footprint is what a call reads and writes, as sets of 64 resources. Two
// calls of two processes can be made in either order, with the same outcome, if
// neither writes what the other reads or writes. Resources may share a bit: that
// only makes calls depend on each other that do not.
type footprint struct{ reads, writes uint64 }

// everything is the footprint of a call that nothing is known about.
var everything = footprint{^uint64(0), ^uint64(0)}

func (f footprint) apart(g footprint) bool {
	return f.writes&(g.reads|g.writes) == 0 && g.writes&f.reads == 0
}

// Resources: the names of the root, 16 of them by hash; what is below each of
// these names, likewise; the inodes of files; the order in which changes of one
// directory are made, which matters to power loss.
const (
	namesAt   = 0
	belowAt   = 16
	nodesAt   = 32
	nodesBits = 28
	allNames  = uint64(1)<<16 - 1
	orderRoot = uint64(1) << 60
	orderRest = uint64(1) << 61
	// Inode numbers: read by what makes an inode, since two of these can swap
	// theirs, and written by what may free one.
	numbers = uint64(1) << 62
)

func nameBit(name string) uint64  { return 1 << (namesAt + text(name)>>7%16) }
func belowBit(name string) uint64 { return 1 << (belowAt + text(name)>>7%16) }
func nodeBit(n int32) uint64      { return 1 << (nodesAt + uint64(n)%nodesBits) }

// footprint is that of the call that an actor stops before, or of its kill.
func (w *machine) footprint(a *actor, kill bool) footprint {
	if kill {
		return footprint{writes: w.heldBits(a) | numbers}
	}
	return w.pending(a)
}

// heldBits are the inodes whose locks a holds.
func (w *machine) heldBits(a *actor) (bits uint64) {
	a.process.Each(func(_ int, node int32) {
		if w.disk.Holder(node) == a.process.Number() {
			bits |= nodeBit(node)
		}
	})
	return bits
}

// pending is the footprint of the pending call.
func (w *machine) pending(a *actor) footprint {
	if a.call == nil {
		return everything
	}
	c := a.call
	name := a.identify(c.Name)
	inRoot := a.process.NodeOf(c.Dir) == w.rootNode && !strings.Contains(name, "/")
	switch c.Method {
	case kernel.OpenUnnamed:
		return footprint{reads: numbers}
	case kernel.WriteOwner:
		return footprint{} // nobody reads it
	case kernel.TakeLock:
		return footprint{writes: nodeBit(a.process.NodeOf(c.Fd))}
	case kernel.Close:
		if n := a.process.NodeOf(c.Fd); n >= 0 && !w.disk.IsDir(n) {
			return footprint{writes: nodeBit(n) | numbers}
		}
		return footprint{writes: numbers}
	case kernel.Stat:
		if n := a.process.NodeOf(c.Fd); n >= 0 && !w.disk.IsDir(n) {
			return footprint{reads: nodeBit(n)}
		}
	case kernel.List:
		switch n := a.process.NodeOf(c.Fd); {
		case n == w.rootNode:
			return footprint{reads: allNames}
		case n >= 0:
			if top := w.topName(n); top != "" {
				return footprint{reads: belowBit(top)}
			}
		}
	case kernel.OpenDirectory:
		if inRoot && name == "." {
			return footprint{}
		}
		if inRoot {
			return footprint{reads: nameBit(name) | belowBit(name)}
		}
		if top := w.topName(a.process.NodeOf(c.Dir)); top != "" {
			return footprint{reads: belowBit(top)}
		}
	case kernel.OpenLock:
		if inRoot {
			return footprint{reads: nameBit(name)}
		}
	case kernel.StatName: // the links of a directory are what is below
		if inRoot {
			return footprint{reads: nameBit(name) | belowBit(name)}
		}
	case kernel.LinkLock, kernel.RemoveLock:
		if inRoot {
			n := a.process.NodeOf(c.Fd)
			if c.Method == kernel.RemoveLock {
				n = w.disk.Find(w.rootNode, name)
			}
			f := footprint{writes: nameBit(name) | orderRoot | numbers}
			if n >= 0 {
				f.writes |= nodeBit(n)
			}
			return f
		}
	case kernel.MakeData, kernel.RemoveData:
		if inRoot {
			return footprint{writes: nameBit(name) | belowBit(name) | orderRoot | numbers}
		}
	case kernel.RemoveEntry, kernel.RemoveDirectory:
		if top := w.topName(a.process.NodeOf(c.Dir)); top != "" {
			return footprint{writes: belowBit(top) | numbers}
		}
	case kernel.StageDeletion:
		if top, _, ok := strings.Cut(a.identify(c.To), "/"); ok {
			return footprint{reads: nameBit(top), writes: belowBit(top) | orderRest}
		}
	}
	return everything
}

// topName is the name in the root that a directory lies below, or "".
func (w *machine) topName(n int32) string {
	for n >= 0 && n != w.disk.Root() {
		above := w.disk.Parent(n)
		if above == w.rootNode {
			return w.disk.NameIn(above, n)
		}
		n = above
	}
	return ""
}
