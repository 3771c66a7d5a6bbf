//go:build linux

package disk

// A Kind is what a change does.
type Kind uint8

const (
	Link   Kind = iota // a name comes: mkdir, create, link
	Unlink             // a name goes: unlink, rmdir
	Rename             // a name becomes another
	Save               // a name goes over to a new file whose content is durable
	Sync               // no change: what happened in the directory is durable now
)

var kindNames = [...]string{"link", "unlink", "rename", "save", "sync"}

// String is the kind's name in lower case.
func (k Kind) String() string { return kindNames[k] }

// A Name is a name in a directory.
type Name struct {
	Dir  int32 // the node of the directory, -1: no name
	Name string
}

var noName = Name{Dir: -1}

// A Change is one atomic change of the names on a disk, or a sync.
type Change struct {
	Kind      Kind
	Directory bool  // what has the name is a directory
	Process   int   // who made it, see [Process.Number]
	Node      int32 // what the name refers to; of a sync, the directory
	From, To  Name  // what goes and what comes
	Over      int32 // of a save, what had the name before, or -1

	made  proto
	delta [2]add
}

// A proto is what a node was when it got its first name.
type proto struct {
	first     bool
	directory bool
	label     uint64
	group     uint8
	top       bool
	data      []byte
}

// An add is what a change adds to one of the sums of the tree.
type add struct {
	group uint8
	key   uint64
}

// link, unlink, rename and save make a change and note it.
func (p *Process) link(n int32, to Name) {
	p.record(Change{Kind: Link, Node: n, From: noName, To: to, Over: -1})
}

func (p *Process) unlink(n int32, from Name) {
	p.record(Change{Kind: Unlink, Node: n, From: from, To: noName, Over: -1})
	p.disk.drop(n)
}

func (p *Process) move(n int32, from, to Name) {
	p.record(Change{Kind: Rename, Node: n, From: from, To: to, Over: -1})
}

func (p *Process) save(n int32, to Name, over int32) {
	p.record(Change{Kind: Save, Node: n, From: noName, To: to, Over: over})
	if over >= 0 {
		p.disk.drop(over)
	}
}

func (p *Process) record(c Change) {
	d := p.disk
	c.Process = p.number
	of := &d.nodes[c.Node]
	c.Directory = of.directory
	if of.links == 0 {
		c.made = proto{true, of.directory, of.label, of.group, of.top, of.data}
	}
	i := 0
	note := func(dir int32, name string, n int32, sign uint64) {
		group, key := d.key(dir, name, n)
		c.delta[i] = add{group, key * sign}
		i++
	}
	if c.From.Dir >= 0 {
		note(c.From.Dir, c.From.Name, c.Node, ^uint64(0))
	}
	if c.Over >= 0 {
		note(c.To.Dir, c.To.Name, c.Over, ^uint64(0))
	}
	if c.To.Dir >= 0 {
		note(c.To.Dir, c.To.Name, c.Node, 1)
	}
	d.change(&c)
	if d.recording {
		d.journal = append(d.journal, c)
	}
}

// sync notes that what happened in the directory is durable.
func (p *Process) sync(dir int32) {
	if d := p.disk; d.recording {
		c := Change{Kind: Sync, Process: p.number, Node: dir, From: noName, To: noName, Over: -1}
		c.delta[0].key = d.nodes[dir].label // for Key; a sync is never added
		d.journal = append(d.journal, c)
	}
}

// change does what a change says to the names.
func (d *Disk) change(c *Change) {
	switch c.Kind {
	case Link:
		d.add(c.To.Dir, c.To.Name, c.Node)
	case Unlink:
		d.remove(c.From.Dir, c.From.Name)
	case Rename:
		links := d.nodes[c.Node].links
		d.remove(c.From.Dir, c.From.Name)
		d.add(c.To.Dir, c.To.Name, c.Node)
		d.nodes[c.Node].links = links
	case Save:
		if c.Over >= 0 {
			d.remove(c.To.Dir, c.To.Name)
		}
		d.add(c.To.Dir, c.To.Name, c.Node)
	}
}

// Key is a hash of what the change does, equal in equal journals.
func (c *Change) Key() uint64 {
	if c.Kind == Sync {
		return mix(c.delta[0].key + 3)
	}
	return mix(c.delta[0].key + mix(c.delta[1].key+uint64(c.Kind)))
}

// Add adds to the sums what the change does to the tree: the hash of a tree
// that lacks some changes is found without making the tree.
func (c *Change) Add(sums *Sum) {
	sums[c.delta[0].group] += c.delta[0].key
	sums[c.delta[1].group] += c.delta[1].key
}

// Take undoes [Change.Add].
func (c *Change) Take(sums *Sum) {
	sums[c.delta[0].group] -= c.delta[0].key
	sums[c.delta[1].group] -= c.delta[1].key
}

// Redo makes a change of another disk's journal on this one, which must have
// the tree that the journal began with and every change that c needs.
func (d *Disk) Redo(c *Change) {
	if c.Kind == Sync {
		return
	}
	d.extend(c.Node)
	if of := &d.nodes[c.Node]; of.links == 0 && c.made.first {
		of.directory, of.label, of.group = c.made.directory, c.made.label, c.made.group
		of.top, of.data = c.made.top, c.made.data
		if of.number == 0 {
			of.number = d.freeNumber()
		}
	}
	d.change(c)
	for _, n := range [2]int32{c.Node, c.Over} {
		if n >= 0 {
			d.drop(n)
		}
	}
}

// Record forgets the journal and starts a new one.
func (d *Disk) Record() {
	d.recording = true
	d.journal = d.journal[:0]
}

// Journal returns the changes since [Disk.Record]. They are valid until the
// next Record.
func (d *Disk) Journal() []Change { return d.journal }
