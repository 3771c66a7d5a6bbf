//go:build linux

package disk

import (
	"fmt"
	"math/bits"
)

// A Durability is a durability model: it says which changes that were not yet
// durable may survive power loss without which. A rename is atomic, but for one
// kind under [Weak].
type Durability uint8

const (
	// Ordered: what survives is a prefix of what was done (ext4, xfs).
	Ordered Durability = iota
	// PerDirectory: order holds within each directory, and for one name.
	PerDirectory
	// Weak: order holds only for changes of one name. A name includes what it
	// takes for it to be there: its directory, and that a directory that goes is
	// empty. A file that is renamed to another directory gets its new name first,
	// and may be under both (btrfs; see docs/litmus.md). A directory is under one.
	Weak

	Durabilities = int(Weak) + 1 // how many there are
)

var durabilityNames = [...]string{"ordered", "perDirectory", "weak"}

// String is the name in spec/PowerLoss.tla.
func (m Durability) String() string { return durabilityNames[m] }

// ParseDurability is the opposite of String.
func ParseDurability(name string) (Durability, error) {
	for i, known := range durabilityNames {
		if name == known {
			return Durability(i), nil
		}
	}
	return 0, fmt.Errorf("no durability model %q; there are: ordered, perDirectory, weak", name)
}

// Carries reports whether the later change b survives only together with the
// earlier one a (spec: Carries).
func (m Durability) Carries(a, b *Change) bool {
	return m == Ordered || m == PerDirectory && shareDirectory(a, b) || shareName(a, b)
}

// shareDirectory is Dirs(a) \cap Dirs(b) # {}.
func shareDirectory(a, b *Change) bool {
	return a.touches(b.From.Dir) || a.touches(b.To.Dir)
}

// touches reports whether the change is one of entries of the directory.
func (c *Change) touches(dir int32) bool {
	return dir >= 0 && (c.From.Dir == dir || c.To.Dir == dir)
}

// shareName is Names(a) \cap Names(b) # {}, as far as b needs what a did: two
// changes that both only need a directory to be there share nothing.
func shareName(a, b *Change) bool {
	for _, x := range [2]*Name{&a.From, &a.To} {
		if x.Dir >= 0 && (x.Dir == b.From.Dir && x.Name == b.From.Name || x.Dir == b.To.Dir && x.Name == b.To.Name) {
			return true
		}
	}
	switch {
	case a.Directory && b.Directory && a.Node == b.Node:
		return true
	case a.Directory && b.To.Dir == a.Node: // b needs the directory
		return true
	}
	// A name that was made in a directory need not survive for the directory to
	// be renamed. A directory goes when it is empty.
	return b.Directory && b.Kind == Unlink && a.touches(b.Node)
}

// MaxPending bounds how many changes of a [Log] may be not yet durable.
const MaxPending = 64

// A Log is a journal under a durability model: which of its changes are durable
// and which may be lost. The zero value is not ready; see [Log.Reset].
type Log struct {
	model   Durability
	changes []*Change
	place   []int    // of a change in the journal
	needs   []uint64 // per change, the earlier ones that it survives only with, all of them
	durable uint64   // changes that survive whatever happens
	seen    int      // changes of the journal that were added, syncs included
}

// Reset empties the log and sets its model.
func (l *Log) Reset(m Durability) {
	*l = Log{model: m, changes: l.changes[:0], place: l.place[:0], needs: l.needs[:0]}
}

// Append adds the next change of a journal, which must stay as it is; ok is
// false if there are more than [MaxPending]. The halves of a rename that is not
// atomic are two changes of the log, at one place of the journal.
func (l *Log) Append(c *Change) (ok bool) {
	at := l.seen
	l.seen++
	if c.Kind == Sync {
		l.sync(c.Node)
		return true
	}
	needs := uint64(0)
	for i := len(l.changes) - 1; i >= 0; i-- {
		if needs>>i&1 == 0 && l.model.Carries(l.changes[i], c) {
			needs |= l.needs[i] | 1<<i
		}
	}
	first, second := l.model.parts(c)
	for _, part := range [2]*Change{first, second} {
		if part == nil {
			break
		}
		if len(l.changes) == MaxPending {
			return false
		}
		l.changes, l.place, l.needs = append(l.changes, part), append(l.place, at), append(l.needs, needs)
		needs |= 1 << (len(l.changes) - 1)
	}
	return true
}

// parts are the change, or the halves of a rename that is not atomic, of which the
// second survives only with the first (spec: Parts).
func (m Durability) parts(c *Change) (first, second *Change) {
	if m != Weak || c.Kind != Rename || c.Directory || c.From.Dir == c.To.Dir {
		return c, nil
	}
	comes, goes := *c, *c
	comes.Kind, comes.From, comes.delta = Link, noName, [2]add{c.delta[1]}
	goes.Kind, goes.To, goes.delta = Unlink, noName, [2]add{c.delta[0]}
	return &comes, &goes
}

// sync makes the smallest set durable that may survive and has every change of
// the directory (spec: SyncSet).
func (l *Log) sync(dir int32) {
	for i := range l.changes {
		if l.changes[i].touches(dir) {
			l.durable |= l.needs[i] | 1<<i
		}
	}
}

// Len is how many changes the log has, without syncs.
func (l *Log) Len() int { return len(l.changes) }

// Change returns the i-th change.
func (l *Log) Change(i int) *Change { return l.changes[i] }

// Place is where the i-th change is in the journal.
func (l *Log) Place(i int) int { return l.place[i] }

// Needs is the set of changes that the i-th survives only with.
func (l *Log) Needs(i int) uint64 { return l.needs[i] }

// Durable is the set of changes that cannot be lost any more.
func (l *Log) Durable() uint64 { return l.durable }

// May reports whether exactly the changes of the set may survive.
func (l *Log) May(set uint64) bool {
	if set&l.durable != l.durable || bits.Len64(set) > len(l.changes) {
		return false
	}
	for rest := set; rest != 0; rest &= rest - 1 {
		if l.needs[bits.TrailingZeros64(rest)]&^set != 0 {
			return false
		}
	}
	return true
}

// Survivors visits every set that may survive power loss now and has the last
// change, or its first half. Together with those of every earlier moment these are all sets, each
// of them once: a set without any of the last change could have been left before.
// sums is that of the tree at the start of the log, and visit gets that of the
// tree with the set; it returns false to stop.
func (l *Log) Survivors(sums Sum, visit func(set uint64, sums *Sum) bool) bool {
	last := len(l.changes) - 1
	if last < 0 {
		return visit(0, &sums)
	}
	if last > 0 && l.place[last-1] == l.place[last] {
		last--
	}
	base := l.durable | l.needs[last] | 1<<last
	for rest := base; rest != 0; rest &= rest - 1 {
		l.changes[bits.TrailingZeros64(rest)].Add(&sums)
	}
	return l.choose(base, 0, len(l.changes), &sums, visit)
}

// choose visits set, and set with every choice of changes from start to end
// added in order, so that each is met once.
func (l *Log) choose(set uint64, start, end int, sums *Sum, visit func(uint64, *Sum) bool) bool {
	if !visit(set, sums) {
		return false
	}
	for i := start; i < end; i++ {
		if set>>i&1 != 0 || l.needs[i]&^set != 0 {
			continue
		}
		l.changes[i].Add(sums)
		ok := l.choose(set|1<<i, i+1, end, sums, visit)
		l.changes[i].Take(sums)
		if !ok {
			return false
		}
	}
	return true
}
