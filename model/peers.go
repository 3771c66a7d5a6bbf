package model

import "slices"

// This file is Peers.tla: how others delete aside, by the steps of four other
// schemes.

// A PeersConfig is the CONSTANTS of a model of another scheme.
type PeersConfig struct {
	Config
	Scheme string // "ostree", "inside", "flock", "checked" or "rename"
}

type scheme uint8

const (
	noScheme scheme = iota // this project's, or upstream's
	ostree
	insideData
	flocks
	checked
	renames
)

var schemes = []string{"", "ostree", "inside", "flock", "checked", "rename"}

// newPeers makes a model of another scheme; it panics on a wrong configuration.
func newPeers(c PeersConfig, formula string, properties []string) *Protocol {
	at := slices.Index(schemes, c.Scheme)
	if at < int(ostree) || len(c.ID) > 1 && c.Scheme == "rename" {
		panic(unknown{"scheme", c.Scheme})
	}
	return newProtocol(c.Config, scheme(at), formula, "", properties)
}

// peerNext is PeerNext, in its order.
var peerNext = []slots{
	{byProcID, []string{"PeerMakeData", "PeerReuse", "PeerList", "PeerBegin"}},
	{byProc, []string{"PeerAgeOut", "PeerOpen", "PeerTakeLock", "PeerStat", "PeerFind", "PeerOpenDirectory", "PeerRemoveData",
		"PeerRemoveLock", "PeerDropsOwn", "PeerRename", "PeerCommit"}},
	{byProcItem, []string{"Invoke", "StageAddition", "OpenEntry"}},
	{byProc, []string{"Commit", "Return", "RemoveEntry", "Close", "PeerCommitFails", "Crash"}},
}

// onDirectory is Flocks: the lock is on the directory.
func (m *Protocol) onDirectory() bool { return m.scheme == flocks || m.scheme == checked }

// owned is Owned: where p is that has the directory.
func (m *Protocol) owned(p Proc) PC {
	if m.creator(p) {
		return OK
	}
	return Claimed
}

// earlier is Earlier: a boot before this one left the directory.
func (m *Protocol) earlier(i ID) bool { return has(m.orphan, i) }

// tooOld is TooOld, or the mutant AnyAge for it.
func (t *step) tooOld(p Proc) bool {
	n := t.s.Lock[t.s.ID[p]]
	return t.m.anyAge || n == None || !slices.Contains(t.s.Fd[1:], n)
}

// goes is next, with p at pc.
func (t *step) goes(p Proc, pc PC) *State {
	n := t.next()
	n.PC[p] = pc
	return n
}

// letsGo closes p's descriptor in n.
func (t *step) letsGo(n *State, p Proc) {
	n.Holder = t.holderWithout(1 << p)
	n.Fd[p] = None
}

// PeerMakeData: p makes a directory; it has no lock yet.
func (t *step) PeerMakeData(p Proc, i ID) {
	if t.not(t.m.creator(p), `p \in Creator`) || t.not(t.s.PC[p] == Idle, `pc[p] = "idle"`) ||
		t.not(t.m.scheme != renames, `Scheme # "rename"`) || t.not(t.fresh(i), `Fresh(i)`) {
		return
	}
	n := t.goes(p, SawData)
	n.Data |= 1 << i
	if t.m.onDirectory() {
		n.Lock[i] = t.newInode()
	}
	n.Used |= 1 << i
	n.ID[p] = i
	t.done()
}

// PeerReuse: p would rather have a directory that is there, of this boot.
func (t *step) PeerReuse(p Proc, i ID) {
	if t.not(t.m.scheme == ostree, `Scheme = "ostree"`) || t.not(t.m.creator(p), `p \in Creator`) ||
		t.not(t.s.PC[p] == Idle, `pc[p] = "idle"`) || t.not(has(t.s.Data, i), `i \in data`) ||
		t.not(!t.m.earlier(i), `~Earlier(i)`) {
		return
	}
	t.goes(p, SawData).ID[p] = i
	t.done()
}

// noTransaction is \A q \in Proc : ~InTransaction(q).
func (m *Protocol) noTransaction(s *State) bool {
	for p := Proc(1); p <= m.procs; p++ {
		if m.scheme == renames && (s.PC[p] == Calling || s.PC[p] == Verified) {
			return false
		}
	}
	return true
}

// PeerList: p finds what others left, a directory, or a lock file beside it.
func (t *step) PeerList(p Proc, i ID) {
	if t.not(t.m.recoverer(p), `p \in Recoverer`) || t.not(t.s.PC[p] == Idle, `pc[p] = "idle"`) ||
		t.not(t.m.noTransaction(&t.s), `\A q \in Proc : ~InTransaction(q)`) ||
		t.not(has(t.s.Data, i) || t.m.scheme == ostree && t.s.Lock[i] != None, `i \in data \/ lock[i] # None`) {
		return
	}
	if has(t.s.Data, i) {
		pc := SawData
		if t.m.scheme == renames {
			pc = Claimed
		}
		t.goes(p, pc).ID[p] = i
		t.done()
	}
	if t.m.scheme == ostree && t.s.Lock[i] != None {
		t.goes(p, SawLock).ID[p] = i
		t.done()
	}
}

// PeerAgeOut: p removes a lock file that looks old.
func (t *step) PeerAgeOut(p Proc) {
	if t.not(t.s.PC[p] == SawLock, `pc[p] = "sawLock"`) {
		return
	}
	n := t.goes(p, Closing)
	if t.tooOld(p) {
		n.Lock[n.ID[p]] = None
	}
	t.done()
}

// PeerOpen: p opens what is to be locked.
func (t *step) PeerOpen(p Proc) {
	if t.not(t.s.PC[p] == SawData, `pc[p] = "sawData"`) {
		return
	}
	i := t.s.ID[p]
	n := t.goes(p, Closing)
	if !t.inTable(p, i) && (t.m.scheme == ostree || has(t.s.Data, i)) {
		if t.s.Lock[i] == None {
			n.Lock[i] = t.newInode()
		}
		n.Fd[p], n.PC[p] = n.Lock[i], Opened
	}
	t.done()
}

// PeerTakeLock: p tries the lock.
func (t *step) PeerTakeLock(p Proc) {
	if t.not(t.s.PC[p] == Opened, `pc[p] = "opened"`) {
		return
	}
	n := t.goes(p, Closing)
	if t.canLock(p) {
		n.Holder[t.s.Fd[p]] = p
		n.PC[p] = t.m.owned(p)
		if t.m.scheme == ostree || t.m.scheme == checked {
			n.PC[p] = Taken
		}
	}
	t.done()
}

// PeerStat: p asks whether what it locked has a name.
func (t *step) PeerStat(p Proc) {
	if t.not(t.s.PC[p] == Taken, `pc[p] = "taken"`) {
		return
	}
	n := t.goes(p, Named)
	switch {
	case !t.s.isNamed(p, t.s.ID[p]):
		n.PC[p] = SawData
		t.letsGo(n, p)
	case t.m.scheme == checked:
		n.PC[p] = t.m.owned(p)
	}
	t.done()
}

// PeerFind: p asks whether the directory is still there.
func (t *step) PeerFind(p Proc) {
	if t.not(t.m.scheme == ostree, `Scheme = "ostree"`) || t.not(t.s.PC[p] == Named, `pc[p] = "named"`) {
		return
	}
	n := t.goes(p, Verified)
	if has(t.s.Data, t.s.ID[p]) && (t.m.creator(p) || t.m.earlier(t.s.ID[p])) {
		n.PC[p] = t.m.owned(p)
	}
	t.done()
}

// PeerOpenDirectory: p begins to remove; some drop their lock before that.
func (t *step) PeerOpenDirectory(p Proc) {
	if !t.m.creator(p) || t.m.scheme != insideData && t.m.scheme != flocks {
		t.OpenDirectory(p)
		return
	}
	if t.not(t.s.PC[p] == Live, `pc[p] = "live"`) {
		return
	}
	n := t.goes(p, Emptying)
	if t.m.scheme == insideData && t.s.Fd[p] != None {
		n.Lock[n.ID[p]] = None
	}
	t.letsGo(n, p)
	t.done()
}

// PeerRemoveData: p removes the directory, once it is empty.
func (t *step) PeerRemoveData(p Proc) {
	i := t.s.ID[p]
	if t.not(t.s.PC[p] == Emptying && t.m.scheme != insideData || t.s.PC[p] == Emptied && t.m.scheme != ostree,
		`pc[p] \in {"emptying", "emptied"}`) {
		return
	}
	if t.m.scheme == insideData && (t.s.Lock[i] != None || !t.s.noEntries(i)) {
		t.goes(p, Emptying)
		t.done()
		return
	}
	if t.not(t.s.noEntries(i), `Entries(id[p]) = {}`) {
		return
	}
	n := t.goes(p, Closing)
	n.Data &^= 1 << i
	if t.m.onDirectory() {
		n.Lock[i] = None
	}
	if t.m.scheme == ostree {
		n.PC[p] = Emptied
	}
	t.done()
}

// PeerRemoveLock: p removes the lock file by its name.
func (t *step) PeerRemoveLock(p Proc) {
	var leaves bool
	switch t.m.scheme {
	case ostree:
		leaves = t.s.PC[p] == Emptied || t.s.PC[p] == Verified || t.s.PC[p] == Live && t.m.creator(p)
	case insideData:
		leaves = t.s.PC[p] == Emptying && t.s.noEntries(t.s.ID[p])
	}
	if t.not(leaves, `p has a lock file to remove`) {
		return
	}
	n := t.goes(p, Closing)
	n.Lock[n.ID[p]] = None
	if t.m.scheme == insideData {
		n.PC[p] = Emptied
	}
	t.done()
}

// PeerDropsOwn: p drops the lock of a directory that another goroutine fills.
func (t *step) PeerDropsOwn(p Proc) {
	if t.not(t.m.scheme == insideData, `Scheme = "inside"`) || t.not(t.m.recoverer(p), `p \in Recoverer`) ||
		t.not(t.s.PC[p] == Idle, `pc[p] = "idle"`) {
		return
	}
	for q := Proc(1); q <= t.m.creators; q++ {
		if t.not(t.m.pid[q] == t.m.pid[p], `Pid[q] = Pid[p]`) || t.not(t.m.live(&t.s, q), `Live(q)`) ||
			t.not(t.s.Fd[q] != None, `fd[q] # None`) {
			continue
		}
		n := t.next()
		n.Lock[n.ID[q]] = None
		t.letsGo(n, q)
		t.done()
	}
}

// PeerBegin: p removes a snapshot, in a transaction.
func (t *step) PeerBegin(p Proc, i ID) {
	if t.not(t.m.scheme == renames, `Scheme = "rename"`) || t.not(t.m.creator(p), `p \in Creator`) ||
		t.not(t.s.PC[p] == Idle, `pc[p] = "idle"`) || t.not(t.fresh(i), `Fresh(i)`) ||
		t.not(t.m.noTransaction(&t.s), `\A q \in Proc : ~InTransaction(q)`) {
		return
	}
	n := t.goes(p, Calling)
	n.ID[p], n.Arg[p] = i, 1 // the one victim
	t.done()
}

// PeerRename: the tree is renamed, if it is there.
func (t *step) PeerRename(p Proc) {
	if t.not(t.m.scheme == renames, `Scheme = "rename"`) || t.not(t.s.PC[p] == Calling, `pc[p] = "calling"`) {
		return
	}
	n := t.goes(p, Verified)
	if x := t.s.Arg[p]; t.s.Place[x] == Home {
		n.Place[x] = Inside(t.s.ID[p])
		n.Data |= 1 << t.s.ID[p]
	} else {
		n.Arg[p] = None
	}
	t.done()
}

// PeerCommit: the transaction is committed; what p renamed is removed.
func (t *step) PeerCommit(p Proc) {
	if t.not(t.m.scheme == renames, `Scheme = "rename"`) || t.not(t.s.PC[p] == Verified, `pc[p] = "verified"`) {
		return
	}
	n := t.goes(p, Emptying)
	if t.s.Arg[p] == None {
		n.PC[p] = Closing
	}
	n.Used |= 1 << t.s.ID[p]
	n.Arg[p] = None
	t.done()
}

// PeerCommitFails: it cannot be committed, and the tree that p renamed goes back.
func (t *step) PeerCommitFails(p Proc) {
	if t.not(t.m.scheme == renames, `Scheme = "rename"`) || t.not(t.s.PC[p] == Verified, `pc[p] = "verified"`) ||
		t.not(t.s.Failures < t.m.maxFailures, `failures < MaxFailures`) ||
		t.not(t.s.Arg[p] != None, `arg[p] # None`) {
		return
	}
	n := t.goes(p, Closing)
	n.Place[t.s.Arg[p]] = Home
	n.Data &^= 1 << t.s.ID[p]
	n.Failures++
	t.done()
}

// RecordedKept: what the database has a record of is there, and whole.
func (m *Protocol) RecordedKept(s *State) bool {
	return !m.noTransaction(s) || has(s.Used, 1) || s.Place[1] == Home && s.Tree[1] == m.files
}
