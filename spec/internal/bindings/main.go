// Bindings says which functions of tempdir and layerstore changed since somebody
// last looked at the actions of the specification that stand for them; see
// spec/bindings.txt. Run it as scripts/bindings.
package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const file = "spec/bindings.txt"

func main() {
	accept := flag.Bool("accept", false, "note the functions as they are now, after a look at the actions")
	flag.Parse()
	problems, err := run(".", *accept)
	for _, p := range problems {
		fmt.Println(p)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bindings:", err)
		os.Exit(2)
	case len(problems) > 0:
		os.Exit(1)
	}
}

// run compares the functions of the checkout top with the file. With accept it
// writes the hashes of bound functions anew, and only rows that it cannot write by
// itself are problems.
func run(top string, accept bool) (problems []string, err error) {
	rows, err := read(filepath.Join(top, file))
	if err != nil {
		return nil, err
	}
	functions, err := functions(top)
	if err != nil {
		return nil, err
	}
	actions, err := actions(top)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for i, r := range rows {
		if r.function == "" {
			for _, action := range r.actions {
				if actions[action] == "" {
					problems = append(problems, fmt.Sprintf("%s:%d: no module defines %s", file, i+1, action))
				}
			}
			continue
		}
		hash, exists := functions[r.function]
		switch {
		case known[r.function]:
			problems = append(problems, fmt.Sprintf("%s:%d: %s is there twice", file, i+1, r.function))
		case !exists:
			problems = append(problems, fmt.Sprintf("%s:%d: %s is not in the code any more", file, i+1, r.function))
		case len(r.actions) > 0 && r.hash != hash:
			if rows[i].hash = hash; !accept {
				var look []string
				for _, action := range r.actions {
					look = append(look, action+" ("+actions[action]+")")
				}
				problems = append(problems, fmt.Sprintf("%s changed: does %s still say what it does? then scripts/bindings --accept", r.function, strings.Join(look, ", ")))
			}
		}
		known[r.function] = true
	}
	for function := range functions {
		if !known[function] {
			problems = append(problems, fmt.Sprintf("%s is not in %s: bind it to actions, or say why no model has it", function, file))
		}
	}
	slices.Sort(problems)
	if accept {
		err = write(filepath.Join(top, file), rows)
	}
	return problems, err
}

// A row is one line of the file: of a function, of the head of a group, or text.
type row struct {
	text     string // of what is no function
	function string
	hash     string   // of a function in a group with actions
	actions  []string // of the group
}

func read(path string) (rows []row, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var group []string
	grouped := false
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		r := row{text: line}
		switch {
		case kind == "" || kind == "#":
		case kind == "=" || kind == "-":
			if rest == "" {
				return nil, fmt.Errorf("%s:%d: a group needs actions or a reason", path, i+1)
			}
			group, grouped = nil, true
			if kind == "=" {
				group = strings.Fields(rest)
				r.actions = group
			}
		case !grouped:
			return nil, fmt.Errorf("%s:%d: %s is in no group", path, i+1, kind)
		default:
			r = row{function: kind, hash: rest, actions: group}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func write(path string, rows []row) error {
	var b bytes.Buffer
	for _, r := range rows {
		if r.function == "" {
			b.WriteString(r.text)
		} else {
			b.WriteString(strings.TrimSpace(r.function + " " + r.hash))
		}
		b.WriteByte('\n')
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// functions maps package.Type.Method, or package.Function, to the hash of its text
// without comments and layout, as it is built for Linux.
func functions(top string) (map[string]string, error) {
	linux := build.Default
	linux.GOOS = "linux"
	found := map[string]string{}
	for _, dir := range []string{"tempdir", "tempdir/layerstore"} {
		paths, err := filepath.Glob(filepath.Join(top, dir, "*.go"))
		if err != nil {
			return nil, err
		}
		for _, path := range paths {
			built, err := linux.MatchFile(filepath.Split(path))
			if err != nil {
				return nil, err
			}
			if !built || strings.HasSuffix(path, "_test.go") {
				continue
			}
			fset := token.NewFileSet()
			source, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			for _, declaration := range source.Decls {
				f, ok := declaration.(*ast.FuncDecl)
				if !ok || f.Name.Name == "init" {
					continue
				}
				var text bytes.Buffer
				if err := printer.Fprint(&text, token.NewFileSet(), f); err != nil {
					return nil, err
				}
				found[source.Name.Name+"."+nameOf(f)] = fmt.Sprintf("%x", sha256.Sum256(text.Bytes()))[:8]
			}
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no functions: run it at the top of a checkout")
	}
	return found, nil
}

func nameOf(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return f.Name.Name
	}
	of := f.Recv.List[0].Type
	if star, ok := of.(*ast.StarExpr); ok {
		of = star.X
	}
	return of.(*ast.Ident).Name + "." + f.Name.Name
}

var definition = regexp.MustCompile(`(?m)^([A-Z]\w*)(?:\([^)]*\))? ==`)

// actions maps every definition of the modules to its file and line.
func actions(top string) (map[string]string, error) {
	found := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(top, "spec", "*.tla"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for _, m := range definition.FindAllSubmatchIndex(text, -1) {
			at := fmt.Sprintf("%s:%d", filepath.Base(path), bytes.Count(text[:m[0]], []byte("\n"))+1)
			if name := string(text[m[2]:m[3]]); found[name] == "" {
				found[name] = at
			} else {
				found[name] += " and " + at
			}
		}
	}
	return found, nil
}
