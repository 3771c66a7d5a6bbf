package model

// This file is Kernel.tla: what several processes share, and how the kernel
// behaves. Names and order are those of the module.

// The things that states refer to are small numbers from 1; 0 is None.
type (
	// Proc is a process: the creators first, then the recoverers.
	Proc = uint8
	// ID is an id.
	ID = uint8
	// Item is a tree.
	Item = uint8
	// Inode is the number of a lock file.
	Inode = uint8
	// Place is where a tree is: Absent, Home, PlaceGone, or Inside an id.
	Place = uint8
)

// None is no process, no id, no tree, no inode.
const None = 0

// Places of a tree. Inside(i) are the others.
const (
	Absent    Place = iota // not made yet
	Home                   // the path that its caller knows
	PlaceGone              // removed
	inside                 // Inside(i) is inside + i - 1
)

// Inside is the place of a tree that is in the data directory of id i.
func Inside(i ID) Place { return inside + i - 1 }

// Sizes that a state has room for.
const (
	maxProcs  = 4
	maxIDs    = 2
	maxItems  = 3
	maxInodes = 8
	maxCopies = 2 // of our package
	maxFiles  = 3
	maxCount  = 3 // crashes, failures
)

// A State is one state of the protocol: the variables of Kernel.tla and
// Create.tla under their names. Arrays are indexed from 1, their element 0 is
// always 0. States are comparable with ==.
type State struct {
	// Durable.
	Lock  [maxIDs + 1]Inode   // lock[i]
	Data  uint8               // data; bit i is set if temp-dir-<i> exists
	Place [maxItems + 1]Place // place[x]
	Tree  [maxItems + 1]uint8 // tree[x]
	// Volatile.
	Holder [maxInodes + 1]Proc  // holder[n]
	Fd     [maxProcs + 1]Inode  // fd[p]
	Parked [maxCopies + 1]uint8 // parked[k]; bit n-1
	PC     [maxProcs + 1]PC     // pc[p]
	ID     [maxProcs + 1]ID     // id[p]
	Arg    [maxProcs + 1]uint8  // arg[p]: an Item, or maxItems + an Inode
	// History.
	Used     uint8 // used; bit i
	Crashes  uint8 // crashes
	Failures uint8 // failures
}

// has says whether the set contains element n.
func has(set, n uint8) bool { return set>>n&1 != 0 }

// kernelInit is KernelInit.
func (m *Protocol) kernelInit(s *State) {
	s.Data = m.orphan
	for x := Item(1); x <= m.items; x++ {
		if has(m.addition, x) {
			s.Place[x], s.Tree[x] = Absent, 0
		} else {
			s.Place[x], s.Tree[x] = Home, m.files
		}
	}
}

// Ours says whether p runs our code.
func (m *Protocol) Ours(p Proc) bool { return !has(m.upstream, p) }

// free is Free: neither a name nor a descriptor refers to inode n. The mutant
// Forgotten asks for it that nobody remembers the number either.
func (t *step) free(n Inode) bool {
	for i := ID(1); i <= t.m.ids; i++ {
		if t.s.Lock[i] == n {
			return false
		}
	}
	for p := Proc(1); p <= t.m.procs; p++ {
		if t.s.Fd[p] == n || t.m.forgotten && t.s.Arg[p] == maxItems+n {
			return false
		}
	}
	return !has(t.s.Parked[1]|t.s.Parked[2], n-1)
}

// newInode is NewInode: the lowest free number.
func (t *step) newInode() Inode {
	n := Inode(1)
	for !t.free(n) {
		n++
	}
	return n
}

// isNamed is IsNamed: the recheck of rule 2.
func (s *State) isNamed(p Proc, i ID) bool { return s.Fd[p] != None && s.Lock[i] == s.Fd[p] }

func (m *Protocol) posix(p Proc) bool { return !m.Ours(p) || m.lockKind != ofd }

func (m *Protocol) shares(p, q Proc) bool {
	return m.posix(p) && m.posix(q) && m.pid[p] == m.pid[q]
}

// canLock is CanLock, or the mutant LeaseRunsOut for it.
func (t *step) canLock(p Proc) bool {
	holder := t.s.Holder[t.s.Fd[p]]
	return holder == None || t.m.shares(p, holder) || t.m.leaseRunsOut
}

// heldByUs is HeldByUs: the lock on inode n is a POSIX lock of the process that
// p runs in.
func (m *Protocol) heldByUs(s *State, p Proc, n Inode) bool {
	h := s.Holder[n]
	return h != None && m.posix(h) && m.pid[h] == m.pid[p]
}

// holderWithout is HolderWithout: the locks that are left when the processes of
// the set close their descriptors.
func (t *step) holderWithout(set uint8) [maxInodes + 1]Proc {
	left := t.s.Holder
	for p := Proc(1); p <= t.m.procs; p++ {
		n := t.s.Fd[p]
		if !has(set, p) || n == None {
			continue
		}
		if p == t.s.Holder[n] || t.m.heldByUs(&t.s, p, n) {
			left[n] = None
		}
	}
	return left
}

// noEntries is Entries(i) = {}: a listing of instance i's data shows no tree.
func (s *State) noEntries(i ID) bool {
	for x := 1; x <= maxItems; x++ {
		if s.Place[x] == Inside(i) {
			return false
		}
	}
	return true
}

// gone is Gone: nothing in the root shows id i.
func (s *State) gone(i ID) bool { return !has(s.Data, i) && s.Lock[i] == None }
