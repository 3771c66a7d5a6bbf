package model

// A permutation renames processes and ids. Index 0 stays.
type permutation struct {
	proc [maxProcs + 1]uint8
	id   [maxIDs + 1]uint8
}

// permutations returns the group that SYMMETRY names, without the identity.
// Processes are exchanged among creators, and among recoverers that recover.
func (m *Protocol) permutations(symmetry string) []permutation {
	if symmetry == "" {
		return nil
	}
	last := m.procs - uint8(len(m.Config.Inspector)) // the others follow
	creators, recoverers, ids := [][]uint8{nil}, [][]uint8{nil}, [][]uint8{nil}
	switch symmetry {
	case "Symmetry":
		creators = orders(1, m.creators)
		recoverers = orders(m.creators+1, last)
		ids = orders(1, m.ids)
	case "IdSymmetry":
		ids = orders(1, m.ids)
	case "RecovererSymmetry":
		recoverers = orders(m.creators+1, last)
	default:
		panic(unknown{"symmetry", symmetry})
	}
	var all []permutation
	for _, c := range creators {
		for _, r := range recoverers {
			for _, i := range ids {
				p := identity
				copy(p.proc[1:], c)
				copy(p.proc[1+m.creators:], r)
				copy(p.id[1:], i)
				if p != identity {
					all = append(all, p)
				}
			}
		}
	}
	return all
}

var identity = permutation{proc: [...]uint8{0, 1, 2, 3, 4}, id: [...]uint8{0, 1, 2}}

// orders returns all orders of the numbers from first to last.
func orders(first, last uint8) [][]uint8 {
	if first > last {
		return [][]uint8{nil}
	}
	var all [][]uint8
	for _, shorter := range orders(first, last-1) {
		for at := 0; at <= len(shorter); at++ {
			order := append([]uint8{}, shorter[:at]...)
			order = append(order, last)
			all = append(all, append(order, shorter[at:]...))
		}
	}
	return all
}

// apply renames the processes and ids of s.
func (r *permutation) apply(m *Protocol, s, n *State) {
	*n = *s
	n.Data, n.Used = 0, 0
	for i := ID(1); i <= m.ids; i++ {
		n.Lock[r.id[i]] = s.Lock[i]
		n.Data |= s.Data >> i & 1 << r.id[i]
		n.Used |= s.Used >> i & 1 << r.id[i]
	}
	for x := Item(1); x <= m.items; x++ {
		if s.Place[x] >= inside {
			n.Place[x] = Inside(r.id[s.Place[x]-inside+1])
		}
	}
	for k := Inode(1); k <= m.inodes; k++ {
		n.Holder[k] = r.proc[s.Holder[k]]
	}
	for p := Proc(1); p <= m.procs; p++ {
		q := r.proc[p]
		n.Fd[q], n.PC[q], n.ID[q], n.Arg[q] = s.Fd[p], s.PC[p], r.id[s.ID[p]], s.Arg[p]
	}
}

// rank is what canonical looks at first: where each process is and on which id,
// after renaming. It costs much less than renaming the whole state.
func (r *permutation) rank(m *Protocol, s *State) (rank uint32) {
	for p := Proc(1); p <= m.procs; p++ {
		q := r.proc[p] - 1
		rank |= uint32(s.PC[p])<<(5*q) | uint32(r.id[s.ID[p]])<<(20+2*q)
	}
	return rank
}

// canonical is one key for the whole class of s: the least of those with the
// least rank.
func (m *Protocol) canonical(s *State) Key {
	least, rank := pack(s), identity.rank(m, s)
	var n State
	for i := range m.symmetry {
		r := m.symmetry[i].rank(m, s)
		if r > rank {
			continue
		}
		m.symmetry[i].apply(m, s, &n)
		if k := pack(&n); r < rank || k.less(least) {
			least, rank = k, r
		}
	}
	return least
}
