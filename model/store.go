package model

// A store holds every state found, once, in the order in which it was found.
// It is split by hash into shards, each filled by one worker at a time, so it
// needs no locks and does not depend on which worker was faster.
//
// Memory: 16 bytes for the key, 4 for the parent, and 8 bytes for each slot of
// a table that is between three eighths and three quarters full.
type store struct {
	shards [shardCount]shard
}

const (
	shardBits  = 4
	shardCount = 1 << shardBits
	pageBits   = 9
	pageSize   = 1 << pageBits
	halfMask   = 1<<32 - 1
)

type shard struct {
	table []uint64 // low half of a hash, and the index of a state plus 1; 0 is free
	pages []*page
	count uint32
}

type page struct {
	keys    [pageSize]Key
	parents [pageSize]node
}

// A node is the number of a state in the store: its index in its shard, and the
// shard.
type node uint32

const noNode = ^node(0)

func nodeOf(shard int, index uint32) node { return node(index<<shardBits | uint32(shard)) }

func (n node) shard() int    { return int(n & (shardCount - 1)) }
func (n node) index() uint32 { return uint32(n >> shardBits) }

func shardOf(hash uint64) int { return int(hash >> (64 - shardBits)) }

func (s *shard) at(i uint32) *Key { return &s.pages[i>>pageBits].keys[i&(pageSize-1)] }

func (s *store) key(n node) Key { return *s.shards[n.shard()].at(n.index()) }
func (s *store) parent(n node) node {
	return s.shards[n.shard()].pages[n.index()>>pageBits].parents[n.index()&(pageSize-1)]
}

// add adds a state, unless it is there.
func (s *shard) add(k Key, hash uint64, parent node) (isNew bool) {
	if uint64(s.count)*4 >= uint64(len(s.table))*3 {
		s.grow()
	}
	mask := uint32(len(s.table) - 1)
	at := uint32(hash) & mask
	for s.table[at] != 0 {
		if slot := s.table[at]; slot>>32 == hash&halfMask && *s.at(uint32(slot) - 1) == k {
			return false
		}
		at = (at + 1) & mask
	}
	if s.count&(pageSize-1) == 0 {
		s.pages = append(s.pages, new(page))
	}
	p := s.pages[s.count>>pageBits]
	p.keys[s.count&(pageSize-1)], p.parents[s.count&(pageSize-1)] = k, parent
	s.count++
	s.table[at] = hash<<32 | uint64(s.count)
	return true
}

func (s *shard) grow() {
	old := s.table
	s.table = make([]uint64, max(64, 2*len(old)))
	mask := uint32(len(s.table) - 1)
	for _, slot := range old {
		if slot == 0 {
			continue
		}
		at := uint32(slot>>32) & mask
		for s.table[at] != 0 {
			at = (at + 1) & mask
		}
		s.table[at] = slot
	}
}

// find returns the node of a state that is in the store.
func (s *store) find(k Key) (node, bool) {
	hash := k.hash()
	sh := &s.shards[shardOf(hash)]
	if len(sh.table) == 0 {
		return noNode, false
	}
	mask := uint32(len(sh.table) - 1)
	for at := uint32(hash) & mask; sh.table[at] != 0; at = (at + 1) & mask {
		if slot := sh.table[at]; slot>>32 == hash&halfMask && *sh.at(uint32(slot) - 1) == k {
			return nodeOf(shardOf(hash), uint32(slot)-1), true
		}
	}
	return noNode, false
}
