package proof

import (
	"fmt"
	"slices"
	"strings"
)

// This file prints formulas as SMT-LIB 2.6.

var smtOps = map[op]string{opEqual: "=", opNot: "not", opAnd: "and", opOr: "or", opIf: "ite", opForall: "forall", opExists: "exists"}

// A printer writes one text.
type printer struct {
	b     strings.Builder
	names map[*term]string // of bound variables
	bound int              // how often one was bound: a formula may stand in a text twice
}

func (p *printer) printf(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

func symbol(f *function) string {
	if strings.Contains(f.name, "'") {
		return "|" + f.name + "|"
	}
	return f.name
}

func (p *printer) term(t *term) {
	switch t.op {
	case opVariable:
		if t.name != "" {
			p.b.WriteString(t.name)
			return
		}
		p.b.WriteString(p.names[t])
	case opValue:
		p.b.WriteString(t.sort.values[t.value])
	case opApply:
		if len(t.args) == 0 {
			p.b.WriteString(symbol(t.function))
			return
		}
		p.list(symbol(t.function), t.args...)
	case opForall, opExists:
		p.printf("(%s (%s) ", smtOps[t.op], p.bind(t.args[0]))
		p.term(t.args[1])
		p.b.WriteByte(')')
	case opAnd, opOr:
		if len(t.args) == 1 {
			p.term(t.args[0])
			return
		}
		fallthrough
	default:
		p.list(smtOps[t.op], t.args...)
	}
}

func (p *printer) list(head string, args ...*term) {
	p.b.WriteString("(" + head)
	for _, a := range args {
		p.b.WriteByte(' ')
		p.term(a)
	}
	p.b.WriteByte(')')
}

// bind gives a variable a name and is its declaration.
func (p *printer) bind(v *term) string {
	p.names[v] = fmt.Sprintf("%c%d", v.sort.name[0]|0x20, p.bound)
	p.bound++
	return fmt.Sprintf("(%s %s)", p.names[v], v.sort.name)
}

func (p *printer) assert(t *term) {
	p.b.WriteString("(assert ")
	p.bound = 0
	p.term(t)
	p.b.WriteString(")\n")
}

// sorts declares the sorts for which used is true: those of the bound by their elements,
// the others without a bound. Without any, an enumeration is a sort whose values differ
// and are all: solvers are twice as fast with it as with a data type.
func (p *printer) sorts(bound map[*sort][]string, used func(*sort) bool) {
	for _, s := range sorts {
		values := s.values
		if values == nil {
			values = bound[s]
		}
		switch {
		case s == boolean || !used(s):
		case values == nil:
			p.printf("(declare-sort %s 0)\n", s.name)
		case bound == nil:
			p.printf("(declare-sort %s 0)\n", s.name)
			for _, v := range values {
				p.printf("(declare-const %s %s)\n", v, s.name)
			}
			p.printf("(assert (distinct %s))\n", strings.Join(values, " "))
			p.printf("(assert (forall ((v %s)) (or (= v %s))))\n", s.name, strings.Join(values, ") (= v "))
		default:
			p.printf("(declare-datatypes ((%s 0)) (((%s))))\n", s.name, strings.Join(values, ") ("))
		}
	}
}

func (p *printer) declare(fs ...*function) {
	for _, f := range fs {
		var args []string
		for _, s := range f.args {
			args = append(args, s.name)
		}
		p.printf("(declare-fun %s (%s) %s)\n", symbol(f), strings.Join(args, " "), f.result.name)
	}
}

// equations say what each of the functions is after a step of the action.
func (a *Action) equations(fs []*function) (all []*term) {
	for _, f := range fs {
		c := f.becomes(func(x ...*term) *term { return f.of(x...) })[0]
		if at := slices.IndexFunc(a.changes, func(c change) bool { return c.function == f }); at >= 0 {
			c = a.changes[at]
		}
		t := equal(f.next.of(c.args...), c.value)
		for _, v := range slices.Backward(c.args) {
			t = binding(v, t)
		}
		all = append(all, t)
	}
	return all
}

func binding(v, body *term) *term {
	return &term{op: opForall, sort: boolean, args: []*term{v, body}}
}

// A query is a text for a solver that ends with one question. The answer unsat is
// the proof.
func query(bound map[*sort][]string, hypotheses []*term, a *Action, conclusion *term) string {
	p := &printer{names: map[*term]string{}}
	p.printf("(set-logic ALL)\n")
	all := append(slices.Clone(hypotheses), conclusion)
	var after []*function // that the conclusion is about
	if a != nil {
		for _, f := range functions(conclusion) {
			if !f.rigid && f.next == nil {
				after = append(after, f.before())
			}
		}
		all = append(append(all, a.guard), a.equations(after)...)
	}
	used := functions(all...)
	p.sorts(bound, func(s *sort) bool {
		uses := func(t *term) bool { return t.sort == s }
		return slices.ContainsFunc(parameters, uses) || slices.ContainsFunc(used, func(f *function) bool { return f.result == s || slices.Contains(f.args, s) }) ||
			slices.ContainsFunc(all, func(t *term) bool { return t.any(uses) })
	})
	for _, f := range vocabulary {
		if slices.Contains(used, f) {
			p.declare(f)
		}
		if f.next != nil && slices.Contains(used, f.next) {
			p.declare(f.next)
		}
	}
	for _, v := range parameters {
		p.printf("(declare-const %s %s)\n", v.name, v.sort.name)
	}
	for _, h := range hypotheses {
		p.assert(h)
	}
	if a != nil {
		p.assert(a.guard)
		for _, t := range a.equations(after) {
			p.assert(t)
		}
	}
	p.assert(not(conclusion))
	p.printf("(check-sat)\n")
	return p.b.String()
}

// before is the function of which f is what it is after a step.
func (f *function) before() *function {
	return vocabulary[slices.IndexFunc(vocabulary, func(g *function) bool { return g.next == f })]
}
