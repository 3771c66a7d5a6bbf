package subjects

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A tree is the files of one module, which may be changed.
type tree struct {
	*Workshop
	dir string
}

// An edit changes a tree. It fails if its place is not there.
type edit func(ctx context.Context, t *tree) error

// rewrite replaces the text of every Go file of the tree. Paths are relative.
func (t *tree) rewrite(change func(path, text string) string) error {
	return filepath.WalkDir(t.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(t.dir, path)
		if changed := change(filepath.ToSlash(relative), string(text)); changed != string(text) {
			return os.WriteFile(path, []byte(changed), 0o644)
		}
		return nil
	})
}

// changeImport has every file import to instead of from, by from's name, but for
// those below the directories that are left out.
func changeImport(from, to string, except ...string) edit {
	return func(_ context.Context, t *tree) error {
		old := fmt.Sprintf("%q", t.Module+"/"+from)
		found := false
		err := t.rewrite(func(path, text string) string {
			for _, dir := range except {
				if strings.HasPrefix(path, dir+"/") {
					return text
				}
			}
			found = found || strings.Contains(text, old)
			return strings.ReplaceAll(text, old, fmt.Sprintf("%s %q", filepath.Base(from), to))
		})
		if err == nil && !found {
			err = fmt.Errorf("nothing imports %s", from)
		}
		return err
	}
}

// requireOurs has the tree require this repository.
func requireOurs(ctx context.Context, t *tree) error {
	_, err := run(ctx, t.dir, nil, "mod", "edit", "-require="+ours+"@v0.0.0", "-replace="+ours+"="+t.checkout)
	return err
}

// writeFile adds a file, or puts it in the place of the one that is there. In its
// text MODULE stands for the module of the store.
func writeFile(path, text string) edit {
	return func(_ context.Context, t *tree) error {
		path := filepath.Join(t.dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		return os.WriteFile(path, []byte(strings.ReplaceAll(text, "MODULE", t.Module)), 0o644)
	}
}

// A source is one parsed file.
type source struct {
	path string
	text string
	set  *token.FileSet
	file *ast.File
}

func (t *tree) parse(path string) (*source, error) {
	s := &source{path: filepath.Join(t.dir, filepath.FromSlash(path)), set: token.NewFileSet()}
	text, err := os.ReadFile(s.path)
	if err != nil {
		return nil, err
	}
	s.text = string(text)
	s.file, err = parser.ParseFile(s.set, path, text, parser.SkipObjectResolution)
	return s, err
}

func (s *source) offset(p token.Pos) int { return s.set.Position(p).Offset }

// of is the text of the node.
func (s *source) of(n ast.Node) string { return s.text[s.offset(n.Pos()):s.offset(n.End())] }

// replace puts the text between the positions, and writes the file.
func (s *source) replace(from, to token.Pos, text string) error {
	return os.WriteFile(s.path, []byte(s.text[:s.offset(from)]+text+s.text[s.offset(to):]), 0o644)
}

// function finds a function, or a method as "Type.method".
func (s *source) function(name string) (*ast.FuncDecl, error) {
	receiver, method, isMethod := strings.Cut(name, ".")
	for _, d := range s.file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || (f.Recv != nil) != isMethod {
			continue
		}
		if !isMethod && f.Name.Name == name ||
			isMethod && f.Name.Name == method && strings.TrimPrefix(s.of(f.Recv.List[0].Type), "*") == receiver {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%s has no function %s", s.set.Position(s.file.Pos()).Filename, name)
}

// addImport has a file import another package of the module.
func addImport(path, pkg string) edit {
	return func(_ context.Context, t *tree) error {
		s, err := t.parse(path)
		if err != nil {
			return err
		}
		end := s.file.Name.End()
		return s.replace(end, end, fmt.Sprintf("\n\nimport %q", t.Module+"/"+pkg))
	}
}

// inFunction changes a file by what is found of a function in it.
func inFunction(path, function string, change func(s *source, f *ast.FuncDecl) error) edit {
	return func(_ context.Context, t *tree) error {
		s, err := t.parse(path)
		if err != nil {
			return err
		}
		f, err := s.function(function)
		if err != nil {
			return err
		}
		return change(s, f)
	}
}

// replaceBody gives a function another body, without the braces.
func replaceBody(path, function, body string) edit {
	return inFunction(path, function, func(s *source, f *ast.FuncDecl) error {
		return s.replace(f.Body.Lbrace+1, f.Body.Rbrace, "\n"+body+"\n")
	})
}

// atStart puts statements before all others of a function.
func atStart(path, function, statements string) edit {
	return inFunction(path, function, func(s *source, f *ast.FuncDecl) error {
		return s.replace(f.Body.Lbrace+1, f.Body.Lbrace+1, "\n"+statements+"\n")
	})
}

// replaceCalls replaces each innermost statement of a function that calls the
// callee, as "package.name" is written there, by what change makes of the
// statement and the call.
func replaceCalls(path, function, callee string, change func(statement, call string) string) edit {
	return func(_ context.Context, t *tree) error {
		for n, found := 0, false; ; found = true { // one after another, since positions move
			s, err := t.parse(path)
			if err != nil {
				return err
			}
			f, err := s.function(function)
			if err != nil {
				return err
			}
			calls := s.calls(f.Body, callee)
			if !found && len(calls) == 0 {
				return fmt.Errorf("%s: %s does not call %s", path, function, callee)
			}
			if n == len(calls) {
				return nil
			}
			at := calls[n].statement
			text := change(s.of(at), s.of(calls[n].call))
			if strings.Contains(text, callee) {
				n++ // else the next one has its place in the list
			}
			if err := s.replace(at.Pos(), at.End(), text); err != nil {
				return err
			}
		}
	}
}

// A calling is a call and the innermost statement in a block that it is in.
type calling struct {
	statement ast.Stmt
	call      *ast.CallExpr
}

func (s *source) calls(body *ast.BlockStmt, callee string) (found []calling) {
	var within []ast.Node
	ast.Inspect(body, func(n ast.Node) bool {
		if n == nil {
			within = within[:len(within)-1]
			return true
		}
		within = append(within, n)
		call, ok := n.(*ast.CallExpr)
		if !ok || s.of(call.Fun) != callee {
			return true
		}
		for i := len(within) - 1; i > 0; i-- {
			statement, ok := within[i].(ast.Stmt)
			if _, inBlock := within[i-1].(*ast.BlockStmt); ok && inBlock {
				found = append(found, calling{statement, call})
				break
			}
		}
		return true
	})
	return found
}
