package proof

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/afterlock/afterlock/model"
)

// A Size is how many elements the sorts have in a counterexample.
type Size struct{ procs, ids, items int }

// Sizes are tried in this order: what can be had is shown as small as it can be.
var Sizes = []Size{{1, 1, 1}, {2, 1, 1}, {2, 2, 1}, {3, 1, 1}, {3, 2, 2}, {4, 2, 2}}

// pids are the ways to share processes that a model has, as formulas.
var pids = []struct {
	name   string
	shared *term
}{
	{"Apart", eachTwo(proc, func(p, q *term) *term { return implies(sameProcess(p, q), equal(p, q)) })},
	{"Together", eachTwo(proc, sameProcess)},
}

func sized(size Size) *structure {
	s := newStructure()
	for sort, n := range map[*sort]int{proc: size.procs, id: size.ids, item: size.items, inode: size.procs + size.ids, system: size.procs, copies: 2, path: size.procs} {
		s.size[sort.index] = n
	}
	return s
}

// Counterexample asks for a state of that size in which all clauses hold, and from
// which the action leads to one in which the clause does not; the solver is to print
// every value after its answer.
func (th *Theory) Counterexample(a *Action, c Clause, size Size, pid int) string {
	s := sized(size)
	one := forall(proc, func(p *term) *term {
		return forall(proc, func(q *term) *term { return equal(packageOf.of(p), packageOf.of(q)) })
	})
	sameName := func(p, q *term) *term { return equal(rootName.of(p), rootName.of(q)) }
	names := or(eachTwo(proc, sameName), eachTwo(proc, func(p, q *term) *term { return or(equal(p, q), not(sameName(p, q))) }))
	hypotheses := append(th.knows(), one, names, pids[pid].shared)
	for _, f := range vocabulary { // so that it is declared
		args := make([]*term, len(f.args))
		var t *term
		for k, s := range f.args {
			args[k] = &term{op: opVariable, sort: s}
		}
		t = equal(f.of(args...), f.of(args...))
		for _, v := range slices.Backward(args) {
			t = binding(v, t)
		}
		hypotheses = append(hypotheses, t)
	}
	conclusion := th.conclusion(a, []Clause{c}, nil)
	if slices.ContainsFunc(th.Steps, func(s Clause) bool { return s.Name == c.Name }) {
		conclusion = th.conclusion(a, nil, []Clause{c})
	}
	if conclusion == nil {
		return ""
	}
	text := query(s.elements(), hypotheses, a, conclusion)
	var values []string
	for _, f := range vocabulary {
		s.points(f, func(args []uint8, _ uint8) { values = append(values, applied(f, args)) })
	}
	return text + "(get-value (" + strings.Join(values, " ") + " n))\n"
}

var valued = regexp.MustCompile(`\(([^()\s]+|\([^()]*\))\s+([^()\s]+)\)`)

// Shown makes a counterexample of what a solver printed after sat, and verifies it:
// the state is one in which the clauses hold, and the model itself takes the step,
// after which the clause does not hold.
func (th *Theory) Shown(a *Action, c Clause, pid int, lines []string) (*model.Counterexample, error) {
	if th.Again {
		return nil, errors.New("there is one, and no model that has its states")
	}
	values := map[string]string{}
	for _, match := range valued.FindAllStringSubmatch(strings.Join(lines, " "), -1) {
		values[strings.Join(strings.Fields(match[1]), " ")] = match[2]
	}
	w := world{values: values, th: th}
	config, from := w.state(pids[pid].name)
	formula := "Spec"
	if len(config.Upstream) > 0 {
		formula = "MixedSpec"
	}
	b, err := newBridge(config, formula, slices.Concat(th.Actions, strangers(), theirs(fresh)))
	if err != nil {
		return nil, err
	}
	if !b.abstract(&from, b.before.s) {
		return nil, fmt.Errorf("the state has no structure")
	}
	b.before.s.fill(1)
	for _, known := range th.knows() {
		if compile(known, nil)(b.before) == 0 {
			return nil, fmt.Errorf("the state that the solver shows is none")
		}
	}
	holds := compile(c.formula, parameters)
	for _, step := range b.m.Steps(from) {
		if b.m.Actions()[step.Action].Name != a.Name {
			continue
		}
		b.abstract(&from, b.before.s)
		b.abstract(&step.State, b.before.n)
		b.abstract(&step.State, b.after.s)
		for _, s := range []*structure{b.before.s, b.before.n, b.after.s} {
			s.fill(1)
		}
		e := b.after
		if slices.ContainsFunc(functions(c.formula), func(f *function) bool { return !f.rigid && f.next == nil }) {
			e = b.before
			copy(e.variables[:], b.labels[step.Action].arms[0].values[:])
		}
		if holds(e) == 0 {
			return b.m.Trace(from, step), nil
		}
	}
	return nil, fmt.Errorf("the model does not take the step that the solver shows")
}

// A world is the values of a counterexample, by name.
type world struct {
	values map[string]string
	th     *Theory
}

func (w *world) is(f *function, arg string) bool { return w.values["("+f.name+" "+arg+")"] == "true" }

func (w *world) value(f *function, arg string) string { return w.values["("+f.name+" "+arg+")"] }

func (w *world) all(of *sort) (all []string) {
	for k := 1; ; k++ {
		name := of.element(uint8(k))
		if !slices.ContainsFunc(vocabulary, func(f *function) bool {
			_, ok := w.values["("+f.name+" "+name+")"]
			return ok
		}) {
			return all
		}
		all = append(all, name)
	}
}

// state is the configuration and the state, with the names and in the order of a model.
func (w *world) state(pid string) (c model.Config, s model.State) {
	procs, ids, items := w.all(proc), w.all(id), w.all(item)
	rank := func(p string) int {
		return 2*int(flag(!w.is(creator, p))) + int(flag(w.is(inspector, p)))
	}
	slices.SortStableFunc(procs, func(a, b string) int { return rank(a) - rank(b) })
	kind := func(x string) int { return int(flag(w.is(mounted, x))) + 2*int(flag(w.is(victim, x))) }
	slices.SortStableFunc(items, func(a, b string) int { return kind(a) - kind(b) })
	number := func(all []string, name string) uint8 { return uint8(slices.Index(all, name) + 1) }

	c = model.Config{Files: 2, Pid: pid, Package: "OneCopy", RootName: "OneName", LockKind: "ofd", MaxCrashes: 1, MaxFailures: 1, Swap: w.th.swap}
	if len(procs) > 1 && w.value(rootName, procs[0]) != w.value(rootName, procs[1]) {
		c.RootName = "TwoNames"
	}
	constant := func(t *term) bool { return w.values[t.function.name] == "true" }
	c.TmpFile, c.MixedFleet, c.OrphanGrace, c.MayRelease = constant(tmpFile), constant(mixedFleet), constant(orphanGrace), constant(mayRelease)
	if constant(posixLocks) {
		c.LockKind = "posix"
	}
	if constant(hasTable) && constant(posixLocks) {
		c.LockKind = "table"
	}
	for _, i := range ids {
		name := fmt.Sprintf("i%d", len(c.ID)+1)
		c.ID = append(c.ID, name)
		if w.is(orphan, i) {
			c.Orphan = append(c.Orphan, name)
		}
	}
	for _, p := range procs {
		role, name := &c.Recoverer, fmt.Sprintf("r%d", len(c.Recoverer)+1)
		if w.is(creator, p) {
			role, name = &c.Creator, fmt.Sprintf("c%d", len(c.Creator)+1)
		}
		*role = append(*role, name)
		for f, in := range map[*function]*[]string{inspector: &c.Inspector, upstream: &c.Upstream, repaired: &c.Repaired} {
			if w.is(f, p) {
				*in = append(*in, name)
			}
		}
	}
	for _, x := range items {
		for f, in := range map[*function]*[]string{victim: &c.Victim, addition: &c.Addition, mounted: &c.Mounted} {
			if w.is(f, x) {
				*in = append(*in, fmt.Sprintf("%c%d", f.name[0], len(*in)+1))
			}
		}
	}

	// Inodes that something refers to come first, then the new one.
	var inodes []string
	use := func(f partial, at string) (n uint8) {
		if !w.is(f.has, at) {
			return 0
		}
		if !slices.Contains(inodes, w.value(f.val, at)) {
			inodes = append(inodes, w.value(f.val, at))
		}
		return number(inodes, w.value(f.val, at))
	}
	for k, i := range ids {
		s.Lock[k+1] = use(lock, i)
		s.Data |= flag(w.is(data, i)) << (k + 1)
		s.Used |= flag(w.is(used, i)) << (k + 1)
	}
	for k, p := range procs {
		s.PC[k+1] = uint8(slices.Index(place.values, w.value(pc, p)))
		if s.Fd[k+1] = use(fd, p); w.is(holds, p) {
			s.Holder[s.Fd[k+1]] = uint8(k + 1)
		}
		if w.is(idOf.has, p) {
			s.ID[k+1] = number(ids, w.value(idOf.val, p))
		}
		if w.is(arg.has, p) {
			s.Arg[k+1] = number(items, w.value(arg.val, p))
		}
		if n := use(memo, p); n != 0 {
			s.Arg[k+1] = numbersFrom + n
		}
	}
	s.Holder[0] = 0
	for k := range len(procs) + len(ids) {
		n := inode.element(uint8(k + 1))
		for copy := 1; copy <= 2; copy++ {
			if w.values[fmt.Sprintf("(%s %s %s)", parked.name, copies.element(uint8(copy)), n)] == "true" {
				if !slices.Contains(inodes, n) {
					inodes = append(inodes, n)
				}
				s.Parked[copy] |= 1 << (number(inodes, n) - 1)
			}
		}
	}
	for k, x := range items {
		switch w.value(at, x) {
		case "within":
			s.Place[k+1] = model.Inside(number(ids, w.value(pin, x)))
		default:
			s.Place[k+1] = uint8(slices.Index(where.values, w.value(at, x)))
		}
		s.Tree[k+1] = flag(w.is(some, x)) + flag(w.is(whole, x) && w.is(some, x))
		if w.is(whole, x) {
			s.Tree[k+1] = 2
		}
	}
	return c, s
}
