package proof

import (
	"slices"
	"strings"

	"github.com/afterlock/afterlock/model"
)

// This file is Kernel.tla and the variables of Create.tla. What the specification
// has and None are partial functions here; holder, a function from inodes to
// processes, is the flag holds of a process, which has one descriptor: so no function
// leads from inodes back to processes, and the formulas stay in a fragment in which
// what is not provable has a finite counterexample. A tree is two flags, whole and
// some (are there files left), which stand for any number of files.

var (
	boolean = newSort("Bool", "false", "true")
	place   = newSort("Place", placeNames()...)
	where   = newSort("Where", "absent", "home", "gone", "within")
	proc    = newSort("Proc")
	id      = newSort("Id")
	inode   = newSort("Inode")
	item    = newSort("Item")
	system  = newSort("System") // processes of the operating system: Pid
	copies  = newSort("Copy")   // of our package: Package
	path    = newSort("Path")   // by which a process knows the root: RootName
)

// sorts are all of them; vocabulary is all functions but those after a step.
var (
	sorts      []*sort
	vocabulary []*function
)

func newSort(name string, values ...string) *sort {
	s := &sort{name: name, values: values, index: len(sorts)}
	sorts = append(sorts, s)
	return s
}

func placeNames() (names []string) {
	for pc := range model.Stuck + 1 {
		names = append(names, model.PCName(pc))
	}
	return names
}

func constant(name string, result *sort, args ...*sort) *function {
	f := &function{name: name, args: args, result: result, rigid: true}
	vocabulary = append(vocabulary, f)
	return f
}

func variable(name string, result *sort, args ...*sort) *function {
	f := constant(name, result, args...)
	f.rigid = false
	f.next = &function{name: name + "'", args: args, result: result}
	return f
}

func partly(name string, result *sort, arg *sort) partial {
	return partial{variable("has"+name, boolean, arg), variable(name, result, arg)}
}

// CONSTANTS. A process is a creator or a recoverer, a tree one of three kinds.
var (
	creator     = constant("creator", boolean, proc)
	inspector   = constant("inspector", boolean, proc)
	upstream    = constant("upstream", boolean, proc)
	repaired    = constant("repaired", boolean, proc)
	pid         = constant("pid", system, proc)
	packageOf   = constant("package", copies, proc)
	rootName    = constant("rootName", path, proc)
	victim      = constant("victim", boolean, item)
	addition    = constant("addition", boolean, item)
	mounted     = constant("mounted", boolean, item)
	orphan      = constant("orphan", boolean, id)
	tmpFile     = constant("tmpFile", boolean).of()
	mixedFleet  = constant("mixedFleet", boolean).of()
	orphanGrace = constant("orphanGrace", boolean).of()
	mayRelease  = constant("mayRelease", boolean).of()
	posixLocks  = constant("posixLocks", boolean).of() // LockKind is "posix" or "table"
	hasTable    = constant("hasTable", boolean).of()   // LockKind is "table"
)

// VARIABLES.
var (
	lock   = partly("lock", inode, id)
	data   = variable("data", boolean, id)
	at     = variable("place", where, item)
	pin    = variable("pin", id, item) // where a tree is that is within
	whole  = variable("whole", boolean, item)
	some   = variable("some", boolean, item)
	holds  = variable("holds", boolean, proc)
	fd     = partly("fd", inode, proc)
	parked = variable("parked", boolean, copies, inode)
	pc     = variable("pc", place, proc)
	idOf   = partly("id", id, proc)
	arg    = partly("arg", item, proc)
	used   = variable("used", boolean, id)
)

// The parameters of actions: p, i and x as in the specification, a new inode, and
// whether a tree has a file left.
var (
	p    = &term{op: opVariable, sort: proc, name: "p"}
	i    = &term{op: opVariable, sort: id, name: "i"}
	x    = &term{op: opVariable, sort: item, name: "x"}
	n    = &term{op: opVariable, sort: inode, name: "n"}
	left = &term{op: opVariable, sort: boolean, name: "left"}

	parameters = []*term{p, i, x, n, left}

	yes, no = boolean.value("true"), boolean.value("false")
)

func (s *sort) value(name string) *term {
	v := slices.Index(s.values, name)
	if v < 0 {
		panic("proof: no value " + name + " of " + s.name)
	}
	return &term{op: opValue, sort: s, value: uint8(v)}
}

// in says that p is at one of the places.
func in(p *term, places string) *term {
	var any []*term
	for _, name := range strings.Fields(places) {
		any = append(any, equal(pc.of(p), place.value(name)))
	}
	return or(any...)
}

// goTo is Goto for p, and goWhere to a place that depends on the state.
func goTo(name string) []change         { return pc.set(p, place.value(name)) }
func goWhere(place *term) []change      { return pc.set(p, place) }
func to(name string) *term              { return place.value(name) }
func ours(p *term) *term                { return not(upstream.of(p)) }
func recoverer(p *term) *term           { return not(creator.of(p)) }
func isAt(x *term, name string) *term   { return equal(at.of(x), where.value(name)) }
func inside(x, i *term) *term           { return and(isAt(x, "within"), equal(pin.of(x), i)) }
func isNamed(p, i *term) *term          { return and(fd.is(p), lock.to(i, fd.of(p))) }
func gone(i *term) *term                { return not(or(data.of(i), lock.is(i))) }
func put(x *term, name string) []change { return at.set(x, where.value(name)) }

// putInside puts tree x into instance i.
func putInside(x, i *term) []change { return join(put(x, "within"), pin.set(x, i)) }

// free is Free. Any free inode may come next; the specification takes the lowest.
func free(n *term) *term {
	return and(
		forall(id, func(i *term) *term { return not(lock.to(i, n)) }),
		forall(proc, func(p *term) *term { return not(fd.to(p, n)) }),
		forall(copies, func(k *term) *term { return not(parked.of(k, n)) }))
}

func posix(p *term) *term { return or(upstream.of(p), posixLocks) }

func sameProcess(p, q *term) *term { return equal(pid.of(p), pid.of(q)) }

func shares(p, q *term) *term { return and(posix(p), posix(q), sameProcess(p, q)) }

// has says that q has the lock on inode n.
func has(q, n *term) *term { return and(holds.of(q), fd.to(q, n)) }

func canLock(p *term) *term {
	return forall(proc, func(q *term) *term { return implies(has(q, fd.of(p)), shares(p, q)) })
}

// takes makes p the holder, instead of whoever shares the lock.
func takes() []change {
	return holds.becomes(func(q ...*term) *term {
		return or(equal(q[0], p), and(holds.of(q[0]), not(fd.to(q[0], fd.of(p)))))
	})
}

func heldByUs(p, n *term) *term {
	return exists(proc, func(q *term) *term { return and(has(q, n), posix(q), sameProcess(p, q)) })
}

// drops is HolderWithout({p}).
func drops() []change {
	return holds.becomes(func(q ...*term) *term {
		return and(holds.of(q[0]), not(equal(q[0], p)),
			not(and(fd.is(p), fd.to(q[0], fd.of(p)), posix(q[0]), sameProcess(p, q[0]))))
	})
}

func noEntries(i *term) *term {
	return forall(item, func(x *term) *term { return not(inside(x, i)) })
}
