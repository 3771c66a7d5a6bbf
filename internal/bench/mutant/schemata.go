package mutant

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strings"
)

// Variables by which a program with all mutants in it is told which of them is
// on, by its number, and where to note which were reached.
const (
	selects = "AFTERLOCK_MUTANT"
	records = "AFTERLOCK_MUTANTS_REACHED"
)

// hookPackage is added to the module: the state of the mutants of a process. It
// makes no system calls after its start, and has no descriptor open.
const hookPackage = `package on

import (
	"os"
	"strconv"
	"syscall"
)

var Number, _ = strconv.Atoi(os.Getenv("` + selects + `"))

var reached = func() []byte {
	path := os.Getenv("` + records + `")
	if path == "" {
		return nil
	}
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	var info syscall.Stat_t
	if syscall.Fstat(fd, &info) != nil {
		return nil
	}
	note, _ := syscall.Mmap(fd, 0, int(info.Size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	return note
}()

func Reach(n int) {
	if reached != nil {
		reached[n] = 1
	}
}
`

// hookFile is added to every package that has mutants.
const hookFile = `package %s

import "%s/internal/bench/mutant/on"

var mutantNumber = on.Number

func mutantReached(n int) { on.Reach(n) }

func mutantNil(...any) error { return nil }
`

// The processes of the black box get nothing of the caller's environment but this.
const (
	environmentPath = "crashsim/blackbox/mutant_environment_linux.go"
	environmentFile = `package blackbox

import "os"

func init() {
	for _, name := range []string{"` + selects + `", "` + records + `"} {
		if value := os.Getenv(name); value != "" {
			environment = append(environment, name+"="+value)
		}
	}
}
`
)

// schemata returns the files, by their paths below the module, of a source that
// has each of these mutants in it, whose numbers count from 1: a function that a
// mutant changes is there once more for it. Those that change something else need
// a build of their own; errs says which cannot be applied.
func schemata(module string, read func(file string) (string, error), mutants []*Mutant) (files map[string]string, own []*Mutant, errs map[*Mutant]error) {
	files, errs = map[string]string{}, map[*Mutant]error{}
	sources := map[string]*source{}
	for i, m := range mutants {
		err := func() error {
			changed, err := m.apply(read)
			if err != nil {
				return err
			}
			var add []func()
			for _, file := range slices.Sorted(maps.Keys(changed)) {
				s := sources[file]
				if s == nil {
					text, err := read(file)
					if err != nil {
						return err
					}
					if s, err = parseSource(file, text); err != nil {
						return err
					}
					sources[file] = s
				}
				variant, err := parseSource(file, changed[file])
				if err != nil {
					return err
				}
				if strings.HasSuffix(file, "_test.go") || variant.skeleton != s.skeleton {
					own = append(own, m)
					return nil
				}
				add = append(add, func() { s.add(i+1, variant) })
			}
			for _, f := range add {
				f()
			}
			return nil
		}()
		if err != nil {
			errs[m] = err
		}
	}
	files["internal/bench/mutant/on/on.go"] = hookPackage
	files[environmentPath] = environmentFile
	for file, s := range sources {
		if len(s.inserts) == 0 {
			continue
		}
		files[file] = s.write()
		files[path.Join(path.Dir(file), "mutant_hook.go")] = fmt.Sprintf(hookFile, s.file.Name.Name, module)
	}
	return files, own, errs
}

// apply returns the files that the mutant changes.
func (m *Mutant) apply(read func(file string) (string, error)) (map[string]string, error) {
	changed := map[string]string{}
	for _, e := range m.Edits {
		text, ok := changed[e.File]
		if !ok {
			var err error
			if text, err = read(e.File); err != nil {
				return nil, err
			}
		}
		text, err := e.Apply(text)
		if err != nil {
			return nil, err
		}
		changed[e.File] = text
	}
	return changed, nil
}

// A source is a file whose functions get variants.
type source struct {
	path, text string
	file       *ast.File
	functions  []*ast.FuncDecl
	skeleton   string // without imports and bodies
	imports    map[string]bool
	inserts    []insert
	named      map[*ast.FuncDecl]string // the arguments of a call with its parameters
	cases      map[*ast.FuncDecl]*strings.Builder
	variants   strings.Builder
}

type insert struct {
	at   int
	text string
}

func parseSource(path, text string) (*source, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	s := &source{path: path, text: text, file: file, imports: map[string]bool{}, named: map[*ast.FuncDecl]string{}, cases: map[*ast.FuncDecl]*strings.Builder{}}
	var skeleton strings.Builder
	from := 0
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.GenDecl:
			if d.Tok == token.IMPORT {
				skeleton.WriteString(text[from : d.Pos()-file.FileStart])
				from = int(d.End() - file.FileStart)
			}
		case *ast.FuncDecl:
			if d.Body != nil {
				s.functions = append(s.functions, d)
				skeleton.WriteString(text[from : d.Body.Lbrace-file.FileStart])
				from = int(d.Body.Rbrace - file.FileStart)
			}
		}
	}
	skeleton.WriteString(text[from:])
	s.skeleton = strings.Join(strings.Fields(skeleton.String()), " ")
	for _, i := range file.Imports {
		s.imports[s.cut(i)] = true
	}
	return s, nil
}

func (s *source) offset(at token.Pos) int { return int(at - s.file.FileStart) }

func (s *source) cut(n ast.Node) string { return s.text[s.offset(n.Pos()):s.offset(n.End())] }

func (s *source) insert(at token.Pos, text string) {
	s.inserts = append(s.inserts, insert{s.offset(at), text})
}

// add makes variants of the functions that are not the same in the other one.
func (s *source) add(number int, other *source) {
	for spec := range other.imports {
		if !s.imports[spec] {
			s.imports[spec] = true
			s.insert(s.file.Name.End(), "; import "+spec)
		}
	}
	for i, f := range s.functions {
		v := other.functions[i]
		if s.cut(f.Body) == other.cut(v.Body) {
			continue
		}
		name := fmt.Sprintf("mutant%d%s", number, f.Name.Name)
		if s.cases[f] == nil {
			s.cases[f] = &strings.Builder{}
			s.named[f] = s.name(f)
		}
		call := name + s.named[f]
		if f.Recv != nil {
			call = s.receiver(f) + "." + call
		}
		if f.Type.Results == nil {
			fmt.Fprintf(s.cases[f], "case %d: %s; return; ", number, call)
		} else {
			fmt.Fprintf(s.cases[f], "case %d: return %s; ", number, call)
		}
		s.insert(s.place(f, s.differs(f, other.cut(v.Body))), fmt.Sprintf("mutantReached(%d); ", number))
		// The line directive makes the compiler's complaints about it tell whose it is.
		head := s.signature(f, name)
		fmt.Fprintf(&s.variants, "\n//line mutant%d.go:1\n%s %s\n", number, head, other.cut(v.Body))
	}
}

// receiver is the name of a method's receiver, which name has given it.
func (s *source) receiver(f *ast.FuncDecl) string {
	if names := f.Recv.List[0].Names; len(names) == 1 && names[0].Name != "_" {
		return names[0].Name
	}
	return "mutantSelf"
}

// name gives names to parameters without, and returns the arguments of a call
// of a variant.
func (s *source) name(f *ast.FuncDecl) string {
	var typeArguments, arguments []string
	if f.Type.TypeParams != nil {
		for _, field := range f.Type.TypeParams.List {
			for _, n := range field.Names {
				typeArguments = append(typeArguments, n.Name)
			}
		}
	}
	s.inserts = append(s.inserts, s.namings(f)...)
	n := 0
	for _, field := range f.Type.Params.List {
		dots := ""
		if _, variadic := field.Type.(*ast.Ellipsis); variadic {
			dots = "..."
		}
		for i := range max(1, len(field.Names)) {
			name := fmt.Sprintf("mutantP%d", n)
			n++
			if len(field.Names) > 0 && field.Names[i].Name != "_" {
				name = field.Names[i].Name
			}
			arguments = append(arguments, name+dots)
		}
	}
	types := ""
	if len(typeArguments) > 0 {
		types = "[" + strings.Join(typeArguments, ", ") + "]"
	}
	return types + "(" + strings.Join(arguments, ", ") + ")"
}

// namings are the insertions that give names to parameters and a receiver: before
// a type alone, or after "_".
func (s *source) namings(f *ast.FuncDecl) (all []insert) {
	if f.Recv != nil {
		field := f.Recv.List[0]
		if len(field.Names) == 0 {
			all = append(all, insert{s.offset(field.Type.Pos()), "mutantSelf "})
		} else if field.Names[0].Name == "_" {
			all = append(all, insert{s.offset(field.Names[0].Pos()), "mutantSelf"})
		}
	}
	n := 0
	for _, field := range f.Type.Params.List {
		if len(field.Names) == 0 {
			all = append(all, insert{s.offset(field.Type.Pos()), fmt.Sprintf("mutantP%d ", n)})
			n++
		}
		for _, name := range field.Names {
			if name.Name == "_" {
				all = append(all, insert{s.offset(name.Pos()), fmt.Sprintf("mutantP%d", n)})
			}
			n++
		}
	}
	return all
}

// signature is the head of a function under another name.
func (s *source) signature(f *ast.FuncDecl, name string) string {
	return s.text[s.offset(f.Pos()):s.offset(f.Name.Pos())] + name + s.text[s.offset(f.Name.End()):s.offset(f.Body.Lbrace)]
}

// differs is where the body of f begins to be another one.
func (s *source) differs(f *ast.FuncDecl, other string) token.Pos {
	body := s.cut(f.Body)
	i := 0
	for i < len(body) && i < len(other) && body[i] == other[i] {
		i++
	}
	return f.Body.Pos() + token.Pos(i)
}

// place is where a statement can stand that is executed before what is at a
// position: before the innermost statement of a list that it is in or, between
// two, at the beginning of the list.
func (s *source) place(f *ast.FuncDecl, at token.Pos) token.Pos {
	place := f.Body.Lbrace + 1
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if n == nil || n.Pos() > at || n.End() <= at {
			return false
		}
		list, begin := []ast.Stmt(nil), token.NoPos // at the beginning itself: a condition that is longer
		switch n := n.(type) {
		case *ast.BlockStmt:
			list, begin = n.List, n.Lbrace
		case *ast.CaseClause:
			list, begin = n.Body, n.Colon
		case *ast.CommClause:
			list, begin = n.Body, n.Colon
		}
		if at > begin && len(list) > 0 && !clauses(list[0]) {
			place = list[0].Pos()
		}
		for _, statement := range list {
			if !clauses(statement) && statement.Pos() <= at && at < statement.End() {
				place = statement.Pos()
			}
		}
		return true
	})
	return place
}

func clauses(s ast.Stmt) bool {
	switch s.(type) {
	case *ast.CaseClause, *ast.CommClause:
		return true
	}
	return false
}

// write returns the source with all variants.
func (s *source) write() string {
	for f, cases := range s.cases {
		s.insert(f.Body.Lbrace+1, " switch mutantNumber { "+strings.TrimSuffix(cases.String(), " ")+" }; ")
	}
	// What chooses the variant comes first of what is at one place.
	slices.SortStableFunc(s.inserts, func(a, b insert) int {
		return cmp.Or(cmp.Compare(a.at, b.at), -cmp.Compare(strings.Index(a.text, "switch"), strings.Index(b.text, "switch")))
	})
	var b strings.Builder
	from := 0
	for _, i := range s.inserts {
		b.WriteString(s.text[from:i.at])
		b.WriteString(i.text)
		from = i.at
		if strings.HasPrefix(i.text, "mutantSelf") || strings.HasPrefix(i.text, "mutantP") {
			from += len(s.text[i.at:]) - len(strings.TrimPrefix(s.text[i.at:], "_"))
		}
	}
	b.WriteString(s.text[from:])
	b.WriteString(s.variants.String())
	return b.String()
}
