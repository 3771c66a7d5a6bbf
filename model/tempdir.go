package model

// This file is TempDir.tla: what callers rely on, and nothing about how it is
// done.

// Values of item, does and reply. Torn is no value of the module: a tree that
// should be live and is not whole, which no behaviour of it allows.
const (
	itemAbsent = iota
	itemLive
	itemStaged
	itemGone
	itemTorn

	opCreate = iota - itemTorn // 0 is None
	opDelete
	opCommit
	opClose
	opRecover

	replyOK = iota - itemTorn - opRecover
	replyMissing
	replyLost
	replyFailed
)

var (
	itemNames  = []string{`"absent"`, `"live"`, `"staged"`, `"gone"`, `"torn"`}
	opNames    = []string{"None", `"create"`, `"delete"`, `"commit"`, `"close"`, `"recover"`}
	replyNames = []string{"None", `"ok"`, `"missing"`, `"lost"`, `"failed"`}
)

// whatState is the variables of TempDir.tla; indices are from 1.
type whatState struct {
	item, owner      [maxItems + 1]uint8
	does, arg, reply [maxProcs + 1]uint8
	open             uint8
}

func packWhat(s *whatState) Key {
	return Key{
		gather(s.item[:], 3)>>3 | gather(s.owner[:], 3)>>3<<9 | uint64(s.open)<<18,
		gather(s.does[1:], 3) | gather(s.arg[1:], 2)<<12 | gather(s.reply[1:], 3)<<20,
	}
}

func unpackWhat(k Key, s *whatState) {
	scatter(k[0]&(1<<9-1)<<3, 3, s.item[:])
	scatter(k[0]>>9&(1<<9-1)<<3, 3, s.owner[:])
	s.open = uint8(k[0] >> 18)
	scatter(k[1], 3, s.does[1:])
	scatter(k[1]>>12, 2, s.arg[1:])
	scatter(k[1]>>20, 3, s.reply[1:])
}

// A TempDir is TempDir.tla for some processes and trees. It is safe for
// concurrent use.
type TempDir struct {
	creators, procs, items uint8
	victim, addition       uint8
	procNames, itemNames   []string
	reapsAnything          bool // the mutant is swapped in
	tabled[whatState, whatStep]
}

func newTempDir(creator, recoverer, victim, addition []string, reapsAnything bool) *TempDir {
	m := &TempDir{
		creators: uint8(len(creator)), procNames: append(append([]string{}, creator...), recoverer...),
		itemNames: append(append([]string{}, addition...), victim...), reapsAnything: reapsAnything,
	}
	m.procs, m.items = uint8(len(m.procNames)), uint8(len(m.itemNames))
	m.victim, m.addition = setOf(victim, m.itemNames), setOf(addition, m.itemNames)
	for x := Item(1); x <= m.items; x++ {
		if has(m.victim, x) {
			m.start.item[x] = itemLive
		}
	}
	m.key, m.unpack, m.write, m.tabled.procs = packWhat, unpackWhat, m.textOf, m.procNames
	m.choose([]string{"OwnedIsStaged"}, map[string]func(*whatState) bool{"OwnedIsStaged": m.ownedIsStaged}, nil)
	m.buildTable()
	return m
}

// buildTable makes the instances of the actions, in the order of Next.
func (m *TempDir) buildTable() {
	add := func(do func(t *whatStep), name string, args ...string) {
		m.table = append(m.table, Action{Name: name, Slot: name, Args: args})
		m.do = append(m.do, do)
	}
	xs := append([]string{"None"}, m.itemNames...)
	for i, proc := range m.procNames {
		p := Proc(i + 1)
		for op := uint8(opCreate); op <= opRecover; op++ {
			for x, item := range xs {
				add(func(t *whatStep) { t.invoke(p, op, Item(x)) }, "Invoke", proc, opNames[op], item)
			}
		}
		add(func(t *whatStep) { t.create(p) }, "Create", proc)
		add(func(t *whatStep) { t.delete(p) }, "Delete", proc)
		add(func(t *whatStep) { t.commit(p) }, "Commit", proc)
		add(func(t *whatStep) { t.fail(p) }, "Fail", proc)
		add(func(t *whatStep) { t.respond(p) }, "Respond", proc)
		for x := Item(1); x <= m.items; x++ {
			add(func(t *whatStep) { t.fill(p, x) }, "Fill", proc, m.itemNames[x-1])
			if m.reapsAnything {
				add(func(t *whatStep) { t.reapAnything(p, x) }, "ReapsAnything", proc, m.itemNames[x-1])
				m.table[len(m.table)-1].Slot = "Reap"
			} else {
				add(func(t *whatStep) { t.reap(p, x) }, "Reap", proc, m.itemNames[x-1])
			}
		}
	}
	for set := uint8(1); set>>m.procs == 0; set++ {
		add(func(t *whatStep) { t.cutOff(set << 1) }, "CutOff", setText(set<<1, m.procNames, ", "))
	}
}

// whatStep is the expander of TempDir.
type whatStep struct {
	m *TempDir
	working[whatState]
}

// release is Release: what the processes in the set owned belongs to nobody.
func (n *whatState) release(set uint8) {
	for x := range n.owner {
		if n.owner[x] != None && has(set, n.owner[x]) {
			n.owner[x] = None
		}
	}
}

func (t *whatStep) invoke(p Proc, op uint8, x Item) {
	s, m := &t.s, t.m
	isOpen := has(s.open, p)
	if t.not(s.does[p] == None, `does[p] = None`) || t.not(
		op == opCreate && p <= m.creators && !isOpen && x == None ||
			op == opDelete && isOpen && has(m.victim, x) ||
			op == opCommit && isOpen && has(m.addition, x) ||
			op == opClose && isOpen && x == None ||
			op == opRecover && p > m.creators && x == None, `p may invoke op on x`) {
		return
	}
	n := t.next()
	n.does[p], n.arg[p] = op, x
	if op == opClose {
		n.open &^= 1 << p
	}
	t.done()
}

func (t *whatStep) create(p Proc) {
	if t.not(t.s.does[p] == opCreate, `does[p] = "create"`) || t.not(t.s.reply[p] == None, `reply[p] = None`) {
		return
	}
	n := t.next()
	n.reply[p] = replyOK
	n.open |= 1 << p
	t.done()
}

func (t *whatStep) delete(p Proc) {
	s := &t.s
	if t.not(s.does[p] == opDelete, `does[p] = "delete"`) || t.not(s.reply[p] == None, `reply[p] = None`) {
		return
	}
	n := t.next()
	if x := s.arg[p]; n.step(ItemDelete, x) {
		n.owner[x], n.reply[p] = p, replyOK
	} else {
		n.reply[p] = replyMissing
	}
	t.done()
}

func (t *whatStep) fill(p Proc, x Item) {
	s := &t.s
	if t.not(has(s.open, p), `p \in open`) || t.not(s.does[p] == None, `does[p] = None`) ||
		t.not(has(t.m.addition, x), `x \in Addition`) || t.not(s.item[x] == itemAbsent, `item[x] = "absent"`) {
		return
	}
	n := t.next()
	n.step(ItemFill, x)
	n.owner[x] = p
	t.done()
}

func (t *whatStep) commit(p Proc) {
	s := &t.s
	x := s.arg[p]
	if t.not(s.does[p] == opCommit, `does[p] = "commit"`) || t.not(s.reply[p] == None, `reply[p] = None`) ||
		t.not(s.item[x] == itemStaged && s.owner[x] == p, `item[arg[p]] = "staged" /\ owner[arg[p]] = p`) {
		return
	}
	n := t.next()
	n.step(ItemCommit, x)
	n.owner[x], n.reply[p] = None, replyOK
	t.done()
}

func (t *whatStep) fail(p Proc) {
	s := &t.s
	if t.not(s.does[p] == opCreate || s.does[p] == opDelete || s.does[p] == opCommit,
		`does[p] \in {"create", "delete", "commit"}`) || t.not(s.reply[p] == None, `reply[p] = None`) {
		return
	}
	n := t.next()
	if s.does[p] == opCreate {
		n.does[p] = opClose
	} else {
		n.reply[p] = replyFailed
	}
	t.done()
}

func (t *whatStep) reap(p Proc, x Item) {
	s := &t.s
	if t.not(s.item[x] == itemStaged, `item[x] = "staged"`) ||
		t.not(s.does[p] == opClose && s.owner[x] == p || s.does[p] == opRecover && s.owner[x] == None,
			`does[p] = "close" /\ owner[x] = p, or does[p] = "recover" /\ owner[x] = None`) {
		return
	}
	n := t.next()
	n.step(ItemReap, x)
	n.owner[x] = None
	t.done()
}

// reapAnything is ReapsAnything of MCTempDir.tla: a recoverer does not ask
// whose the tree is.
func (t *whatStep) reapAnything(p Proc, x Item) {
	s := &t.s
	if t.not(s.item[x] == itemStaged, `item[x] = "staged"`) ||
		t.not(s.does[p] == opClose || s.does[p] == opRecover, `does[p] \in {"close", "recover"}`) {
		return
	}
	t.next().item[x] = itemGone
	t.done()
}

func (t *whatStep) respond(p Proc) {
	s := &t.s
	if t.not(s.reply[p] != None || s.does[p] == opClose || s.does[p] == opRecover,
		`reply[p] # None, or does[p] \in {"close", "recover"}`) {
		return
	}
	n := t.next()
	n.does[p], n.arg[p], n.reply[p] = None, None, None
	if s.does[p] == opClose {
		n.release(1 << p)
	}
	t.done()
}

func (t *whatStep) cutOff(set uint8) {
	n := t.next()
	for p := Proc(1); p <= t.m.procs; p++ {
		if has(set, p) {
			n.does[p], n.arg[p], n.reply[p] = None, None, None
		}
	}
	n.open &^= set
	n.release(set)
	t.done()
}

// ownedIsStaged is OwnedIsStaged: a tree that an open directory holds is still
// there.
func (m *TempDir) ownedIsStaged(s *whatState) bool {
	for x := Item(1); x <= m.items; x++ {
		if s.owner[x] != None && s.item[x] != itemStaged {
			return false
		}
	}
	return true
}

func (m *TempDir) newExpander() expander {
	t := &whatStep{m: m}
	return m.expands(t, &t.working)
}

func (m *TempDir) textOf(s *whatState) string {
	var b []byte
	b = append(b, "arg="...)
	b = appendFunction(b, m.procNames, func(p int) string { return nameOf(m.itemNames, s.arg[p]) })
	b = append(b, "\ndoes="...)
	b = appendFunction(b, m.procNames, func(p int) string { return opNames[s.does[p]] })
	b = append(b, "\nitem="...)
	b = appendFunction(b, m.itemNames, func(x int) string { return itemNames[s.item[x]] })
	b = append(b, "\nopen="...)
	b = append(b, setText(s.open, m.procNames, ",")...)
	b = append(b, "\nowner="...)
	b = appendFunction(b, m.itemNames, func(x int) string { return nameOf(m.procNames, s.owner[x]) })
	b = append(b, "\nreply="...)
	b = appendFunction(b, m.procNames, func(p int) string { return replyNames[s.reply[p]] })
	return string(b)
}
