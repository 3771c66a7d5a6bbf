package model

import "slices"

// This file is the properties of Readers.tla and MCReaders.tla, and what the
// explorer needs.

// A Readers is Readers.tla for one ReadersConfig. It is safe for concurrent use.
type Readers struct {
	Config                 ReadersConfig
	readers                []string
	lister, checker, files uint8
	tabled[readersState, readersStep]
}

// newReaders makes a model of readers; it panics on a wrong configuration.
func newReaders(c ReadersConfig, properties []string) *Readers {
	m := &Readers{Config: c, readers: slices.Concat(c.Lister, c.Checker), files: 2<<len(c.File) - 2}
	if len(m.readers) > maxReaders || len(c.File) > 3 {
		panic("model: a configuration that does not fit in a Key")
	}
	slices.Sort(m.readers) // as their texts are
	m.lister, m.checker = setOf(c.Lister, m.readers), setOf(c.Checker, m.readers)
	m.start = readersState{record: 1, home: 1, names: [3]uint8{0, m.files, m.files}}
	m.start.whole = m.start.names
	m.key, m.unpack, m.write, m.procs = packReaders, unpackReaders, m.textOf, m.readers
	// no says that there is no reader of which it holds.
	no := func(holds func(s *readersState, r int) bool) func(*readersState) bool {
		return func(s *readersState) bool {
			for r := 1; r <= len(m.readers); r++ {
				if holds(s, r) {
					return false
				}
			}
			return true
		}
	}
	m.choose(properties, map[string]func(*readersState) bool{
		"TypeOK": no(func(s *readersState, r int) bool {
			return s.record > 2 || s.home > 2 || s.knows[r] > 2 || s.of[r] > 2 || int(s.fd[r]) > len(c.File) ||
				(s.todo[r]|s.names[1]|s.names[2]|s.whole[1]|s.whole[2])&^m.files != 0 || (s.shared|s.half)&^(m.lister|m.checker) != 0
		}),
		"HeldWhole": no(func(s *readersState, r int) bool { return s.fd[r] != 0 && !has(s.whole[s.of[r]], s.fd[r]) }),
		"ToldWhole": no(func(s *readersState, r int) bool { return s.told[r] == toldLayer && has(s.half, uint8(r)) }),
	}, map[string]stepProperty[readersState]{
		"NoHeldUnnamed": never("ReadFile", func(a *Action, s, _ *readersState) bool { return !has(s.names[s.of[a.p]], s.fd[a.p]) }),
		"NoMissingFile": never("FileMissing", func(a *Action, _, _ *readersState) bool { return has(m.lister, a.p) }),
		"NoReadOfGone": never("EndRead", func(a *Action, s, _ *readersState) bool {
			return has(m.lister, a.p) && s.of[a.p] == 1 && s.names[1] != m.files
		}),
		"NoHalfNoted": never("Ask", func(a *Action, s, n *readersState) bool {
			return has(s.half, a.p) && n.told[a.p] == toldError
		}),
		"NoCheckedLayer": never("Ask", func(a *Action, _, n *readersState) bool { return n.told[a.p] == toldLayer }),
	})
	m.buildTable()
	return m
}

// buildTable makes the instances of the actions, in the order of Next: of the
// deleter, of it and a file, of each reader.
func (m *Readers) buildTable() {
	for _, action := range []string{"LockToDelete", "FlagLayer", "StageLayer", "UnlockToRemove", "MakeAgain"} {
		m.add(action, m.Config.Swap)
	}
	m.add("Unlink", m.Config.Swap, m.Config.File)
	for _, action := range []string{"LockToRead", "ListLocked", "UnlockToRead", "LookUp", "OpenUnlocked", "ListUnlocked", "ReadFile",
		"EndRead", "Ask", "OpenFile", "FileMissing"} {
		m.add(action, m.Config.Swap, m.readers, m.Config.File)
	}
}

func packReaders(s *readersState) Key {
	k := Key{uint64(s.record) | uint64(s.home)<<2 | uint64(s.names[1]>>1)<<4 | uint64(s.names[2]>>1)<<7 | uint64(s.whole[1]>>1)<<10 |
		uint64(s.whole[2]>>1)<<13 | uint64(s.writer)<<16 | uint64(s.step)<<17 | uint64(s.shared>>1)<<20 | uint64(s.half>>1)<<23}
	for r := 1; r <= maxReaders; r++ {
		x := uint64(s.pc[r]) | uint64(s.knows[r])<<4 | uint64(s.of[r])<<6 | uint64(s.todo[r]>>1)<<8 | uint64(s.fd[r])<<11 | uint64(s.told[r])<<13
		k[1] |= x << (16 * (r - 1))
	}
	return k
}

func unpackReaders(k Key, s *readersState) {
	field := func(at, width int) uint8 { return uint8(k[0] >> at & (1<<width - 1)) }
	*s = readersState{record: field(0, 2), home: field(2, 2), writer: field(16, 1), step: field(17, 3),
		shared: field(20, 3) << 1, half: field(23, 3) << 1}
	s.names[1], s.names[2], s.whole[1], s.whole[2] = field(4, 3)<<1, field(7, 3)<<1, field(10, 3)<<1, field(13, 3)<<1
	for r := 1; r <= maxReaders; r++ {
		x := k[1] >> (16 * (r - 1))
		s.pc[r], s.knows[r], s.of[r] = uint8(x&15), uint8(x>>4&3), uint8(x>>6&3)
		s.todo[r], s.fd[r], s.told[r] = uint8(x>>8&7)<<1, uint8(x>>11&3), uint8(x>>13&3)
	}
}

func (m *Readers) newExpander() expander {
	t := &readersStep{m: m}
	return m.expands(t, &t.working)
}
