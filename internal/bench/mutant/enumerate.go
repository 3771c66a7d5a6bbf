package mutant

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"hash/fnv"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The rules by which mutants are enumerated.
const (
	dropsBranch = "error branch dropped"
	swapsCalls  = "adjacent calls swapped"
	changesFlag = "flag or mode changed"
	dropsSync   = "sync removed"
)

// Enumerate returns the mutants of a file that follow from rules, none left out:
//
//   - error branch dropped: each condition of an if, and each case, that compares
//     with nil something that is called err or is the result of a call, never
//     holds (!= nil) or always does (== nil); what it calls is called all the same;
//   - adjacent calls swapped: each two statements that follow each other and call
//     something, each with the if that looks at its error; it is equivalent if one
//     of them only defers its call;
//   - flag or mode changed: each constant of package unix that is an operand of |,
//     an argument or a field, but for error numbers and noFlags, is 0; each mode in octal
//     lets everybody read and write, or no one but the owner if it did; each true
//     or false that is an argument, a result or assigned is the other;
//   - sync removed: each call of a function that syncs succeeds without it.
//
// Those that do not compile are found out later. The name of a mutant says its
// site, by function and number.
func Enumerate(path, text string) (all []*Mutant, err error) {
	s, err := parseSource(path, text)
	if err != nil {
		return nil, err
	}
	for _, f := range s.functions {
		name := f.Name.Name
		if f.Recv != nil {
			name = strings.Trim(s.cut(f.Recv), "()")
			name = strings.TrimLeft(name[strings.LastIndexByte(name, ' ')+1:], "*") + "." + f.Name.Name
		}
		count := map[string]int{}
		e := &enumeration{source: s, add: func(rule string, at, end token.Pos, by string) *Mutant {
			count[rule]++
			old := text[s.offset(at):s.offset(end)]
			m := &Mutant{
				Name:   fmt.Sprintf("%s: %s %s #%d", rule, path, name, count[rule]),
				Of:     rule,
				Change: fmt.Sprintf("line %d: %s -> %s", strings.Count(text[:s.offset(at)], "\n")+1, short(old), short(by)),
				Edits:  []Edit{{File: path, Old: old, New: by, at: s.offset(at)}},
			}
			all = append(all, m)
			return m
		}}
		ast.Inspect(f.Body, e.visit)
	}
	return all, nil
}

// short is code in a line.
func short(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "…"
	}
	return text
}

// Sample returns about n of the mutants in their order: all whose rule has no more
// than its quarter of n, and of the others, in equal shares, those whose names have
// the least hashes.
func Sample(all []*Mutant, n int) []*Mutant {
	if n <= 0 || n >= len(all) {
		return all
	}
	hash := func(m *Mutant) uint64 {
		h := fnv.New64a()
		h.Write([]byte(m.Name))
		// The last bytes of FNV hardly reach the first bits.
		return h.Sum64() * 0x9e3779b97f4a7c15
	}
	hashes := map[string][]uint64{}
	for _, m := range all {
		hashes[m.Of] = append(hashes[m.Of], hash(m))
	}
	limit := map[string]uint64{}
	left, rules := n, len(hashes)
	for _, rule := range slices.SortedFunc(maps.Keys(hashes), func(a, b string) int { return cmp.Compare(len(hashes[a]), len(hashes[b])) }) {
		slices.Sort(hashes[rule])
		share := max(1, min(left/rules, len(hashes[rule])))
		limit[rule] = hashes[rule][share-1]
		left, rules = left-share, rules-1
	}
	return slices.DeleteFunc(slices.Clone(all), func(m *Mutant) bool { return hash(m) > limit[m.Of] })
}

type enumeration struct {
	*source
	add func(rule string, at, end token.Pos, by string) *Mutant
}

func (e *enumeration) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		e.branches(n.Cond)
	case *ast.BlockStmt:
		e.swaps(n.List)
	case *ast.CaseClause:
		for _, c := range n.List {
			e.branches(c)
		}
		e.swaps(n.Body)
	case *ast.CommClause:
		e.swaps(n.Body)
	case *ast.BinaryExpr:
		if n.Op == token.OR {
			e.flag(n.X)
			e.flag(n.Y)
		}
	case *ast.CallExpr:
		e.flags(n.Args)
		if name := callee(n); syncs.MatchString(name) && !strings.HasPrefix(name, "sync.") {
			e.add(dropsSync, n.Fun.Pos(), n.Lparen, "mutantNil")
		}
	case *ast.KeyValueExpr:
		e.flags([]ast.Expr{n.Value})
	case *ast.ReturnStmt:
		e.flags(n.Results)
	case *ast.AssignStmt:
		e.flags(n.Rhs)
	case *ast.BasicLit:
		if n.Kind == token.INT && strings.HasPrefix(n.Value, "0o") {
			e.mode(n)
		}
	}
	return true
}

// branches adds a mutant for a condition that looks at an error.
func (e *enumeration) branches(c ast.Expr) {
	var with string
	ast.Inspect(c, func(n ast.Node) bool {
		if _, function := n.(*ast.FuncLit); function {
			return false
		}
		b, ok := n.(*ast.BinaryExpr)
		if !ok || with != "" || !isNil(b.Y) || !isError(b.X) {
			return true
		}
		switch b.Op {
		case token.NEQ:
			with = " && false"
		case token.EQL:
			with = " || true"
		}
		return true
	})
	if with != "" {
		e.add(dropsBranch, c.Pos(), c.End(), "("+e.cut(c)+")"+with)
	}
}

func isNil(x ast.Expr) bool {
	i, ok := x.(*ast.Ident)
	return ok && i.Name == "nil"
}

var errorNames = regexp.MustCompile(`(?i)err$|^err|Err[A-Z]?`)

func isError(x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		return errorNames.MatchString(x.Name)
	case *ast.SelectorExpr:
		return errorNames.MatchString(x.Sel.Name)
	case *ast.CallExpr:
		return true
	}
	return false
}

// A step is a statement that calls something, with the if that looks at its error.
type step struct {
	from, to token.Pos
	alone    ast.Stmt // without an if
}

func (e *enumeration) swaps(list []ast.Stmt) {
	var last *step
	for i := 0; i < len(list); i++ {
		if !calls(list[i]) {
			last = nil
			continue
		}
		s := step{list[i].Pos(), list[i].End(), list[i]}
		if _, looks := list[i].(*ast.IfStmt); !looks && i+1 < len(list) {
			if next, ok := list[i+1].(*ast.IfStmt); ok && next.Init == nil && !hasCall(next.Cond) {
				s.to, s.alone = next.End(), nil
				i++
			}
		}
		if last != nil {
			between := e.text[e.offset(last.to):e.offset(s.from)]
			first, second := e.text[e.offset(last.from):e.offset(last.to)], e.text[e.offset(s.from):e.offset(s.to)]
			m := e.add(swapsCalls, last.from, s.to, second+between+first)
			if anyOrder(last.alone, s.alone) || anyOrder(s.alone, last.alone) {
				m.Equivalent = "a deferred call is made at the return, and the other statement does not return, nor change what is called"
			}
		}
		last = &s
	}
}

// anyOrder reports whether first is a deferred call without arguments of what has a name, and
// second neither returns nor assigns a variable that it is made of. A deferred function
// literal is in its order: it may be there for the panic of second.
func anyOrder(first, second ast.Stmt) bool {
	d, ok := first.(*ast.DeferStmt)
	if !ok || len(d.Call.Args) > 0 {
		return false
	}
	if _, literal := d.Call.Fun.(*ast.FuncLit); literal {
		return false
	}
	var assigned []string
	switch s := second.(type) {
	case *ast.ExprStmt:
	case *ast.AssignStmt:
		for _, x := range s.Lhs {
			i, ok := x.(*ast.Ident)
			if !ok {
				return false
			}
			assigned = append(assigned, i.Name)
		}
	default:
		return false
	}
	same := true
	ast.Inspect(d.Call.Fun, func(n ast.Node) bool {
		if i, ok := n.(*ast.Ident); ok {
			same = same && !slices.Contains(assigned, i.Name)
		}
		return true
	})
	return same
}

// calls reports whether a statement calls something, and may be moved.
func calls(s ast.Stmt) bool {
	switch s := s.(type) {
	case *ast.ExprStmt:
		return hasCall(s.X)
	case *ast.AssignStmt:
		return slices.ContainsFunc(s.Rhs, hasCall)
	case *ast.DeferStmt:
		return true
	case *ast.IfStmt:
		return s.Init != nil && calls(s.Init) || hasCall(s.Cond)
	}
	return false
}

var builtins = []string{"append", "len", "cap", "min", "max", "make", "new", "clear", "delete", "string", "int", "int64", "uint32", "uint64", "uintptr", "byte"}

func hasCall(x ast.Expr) (has bool) {
	ast.Inspect(x, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false
		case *ast.CallExpr:
			has = has || !slices.Contains(builtins, callee(n))
		}
		return true
	})
	return has
}

// syncs are the names of functions that do, and of none of package sync.
var syncs = regexp.MustCompile(`^(?:.*\.)?(?i:f?(?:data)?sync)\w*$`)

// callee is the name that a call is made by.
func callee(c *ast.CallExpr) string {
	switch f := c.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
		return "." + f.Sel.Name
	}
	return ""
}

func (e *enumeration) flags(list []ast.Expr) {
	for _, x := range list {
		switch x := x.(type) {
		case *ast.SelectorExpr:
			e.flag(x)
		case *ast.Ident:
			switch x.Name {
			case "true":
				e.add(changesFlag, x.Pos(), x.End(), "false")
			case "false":
				e.add(changesFlag, x.Pos(), x.End(), "true")
			}
		}
	}
}

var errno = regexp.MustCompile(`^E[A-Z0-9]+$`)

// noFlags are a directory, and what is 0 already.
var noFlags = []string{"AT_FDCWD", "O_RDONLY", "F_RDLCK"}

func (e *enumeration) flag(x ast.Expr) {
	s, ok := x.(*ast.SelectorExpr)
	if !ok || errno.MatchString(s.Sel.Name) || s.Sel.Name != strings.ToUpper(s.Sel.Name) {
		return
	}
	if p, ok := s.X.(*ast.Ident); ok && p.Name == "unix" && !slices.Contains(noFlags, s.Sel.Name) {
		e.add(changesFlag, x.Pos(), x.End(), "0")
	}
}

func (e *enumeration) mode(n *ast.BasicLit) {
	var mode uint32
	if _, err := fmt.Sscanf(n.Value, "0o%o", &mode); err != nil {
		return
	}
	if mode&0o066 == 0 {
		mode |= 0o066
	} else {
		mode &^= 0o077
	}
	e.add(changesFlag, n.Pos(), n.End(), fmt.Sprintf("0o%o", mode))
}
