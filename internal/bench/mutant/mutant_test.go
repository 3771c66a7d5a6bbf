package mutant

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	mutants, err := Parse("# a comment\nmutant: a\nof: rule 1\ndetector: d\nmessage: ^x$\nfile: f\n a\n\n-b\n+c\n\nmutant: b\nof: order\nequivalent: why\nfile: f\n-a\n")
	require.NoError(t, err)
	require.Len(t, mutants, 2)
	assert.Equal(t, Edit{File: "f", Old: "a\n\nb\n", New: "a\n\nc\n"}, mutants[0].Edits[0])
	assert.True(t, mutants[0].Message.MatchString("y\nx\nz"))
	assert.Equal(t, "why", mutants[1].Equivalent)
	for _, bad := range []string{
		" a\n", "of: a\n", "mutant: a\n", "mutant: a\nof\n", "mutant: a\nof: b\nwhat: c\n",
		"mutant: a\nof: b\ndetector: c\nmessage: (\nfile: f\n-a\n",
		"mutant: a\nof: b\ndetector: c\nfile: f\n-a\n",
		"mutant: a\nof: b\ndetector: c\nmessage: d\nequivalent: e\nfile: f\n-a\n",
		"mutant: a\nof: b\ndetector: c\nmessage: d\n",
		"mutant: a\nof: b\ndetector: c\nmessage: d\nfile: f\n a\n",
		"mutant: a\nequivalent: e\n", "mutant: a\nchange: b\nequivalent: e\nfile: f\n-a\n",
	} {
		_, err := Parse(bad)
		assert.Error(t, err, bad)
	}
}

// Every change of the catalogue can still be made.
func TestCatalogueApplies(t *testing.T) {
	all, err := Catalogue()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, m := range all {
		changed := map[string]string{}
		for _, e := range m.Edits {
			source, ok := changed[e.File]
			if !ok {
				text, err := os.ReadFile(filepath.Join("../../..", e.File))
				require.NoError(t, err, m.Name)
				source = string(text)
			}
			changed[e.File], err = e.Apply(source)
			assert.NoError(t, err, m.Name)
		}
	}
}

const sample = `package p

import "golang.org/x/sys/unix"

type T[K comparable] struct{}

func (T[K]) f(int, ...string) (err error) {
	if err = one(); err != nil {
		return err
	}
	err = two()
	if err != nil {
		return err
	}
	_ = unix.Fsync(3)
	return three(unix.O_RDWR|unix.O_CLOEXEC, 0o600, true)
}

func one() error { return nil }

func two() error { return nil }

func three(flags, mode int, b bool) error {
	switch err := one(); {
	case err == nil:
		two()
		one()
	}
	return unix.EIO
}

func none[X any](_ X, x ...X) { _ = x }
`

func TestEnumerate(t *testing.T) {
	all, err := Enumerate("p.go", sample)
	require.NoError(t, err)
	var made []string
	for _, m := range all {
		require.Equal(t, m.Edits[0].Old, sample[m.Edits[0].at:][:len(m.Edits[0].Old)])
		made = append(made, m.Name+" -> "+m.Edits[0].New)
	}
	assert.Equal(t, []string{
		"adjacent calls swapped: p.go T[K].f #1 -> err = two()\n\tif err != nil {\n\t\treturn err\n\t}\n\tif err = one(); err != nil {\n\t\treturn err\n\t}",
		"adjacent calls swapped: p.go T[K].f #2 -> _ = unix.Fsync(3)\n\terr = two()\n\tif err != nil {\n\t\treturn err\n\t}",
		"error branch dropped: p.go T[K].f #1 -> (err != nil) && false",
		"error branch dropped: p.go T[K].f #2 -> (err != nil) && false",
		"sync removed: p.go T[K].f #1 -> mutantNil",
		"flag or mode changed: p.go T[K].f #1 -> false",
		"flag or mode changed: p.go T[K].f #2 -> 0",
		"flag or mode changed: p.go T[K].f #3 -> 0",
		"flag or mode changed: p.go T[K].f #4 -> 0o666",
		"error branch dropped: p.go three #1 -> (err == nil) || true",
		"adjacent calls swapped: p.go three #1 -> one()\n\t\ttwo()",
	}, made)
	chosen := Sample(all, 5)
	assert.Len(t, chosen, 5, "one of the sync, and the others in shares")
	assert.Equal(t, chosen, Sample(all, 5))
	assert.Len(t, Sample(all, 0), len(all))
}

// The order of a deferred call and its neighbour is nobody's matter, unless that is
// one, too, or changes what is called.
func TestDeferredCallsInAnyOrder(t *testing.T) {
	all, err := Enumerate("p.go", `package p

func f() {
	mu.Lock()
	defer mu.Unlock()
	x = three()
	defer x()
	defer mu.Unlock()
	y := three()
	defer two(y)
	one()
	defer func() { two(y) }()
	one()
}
`)
	require.NoError(t, err)
	var any []bool
	for _, m := range all {
		any = append(any, m.Equivalent != "")
	}
	assert.Equal(t, []bool{true, true, false, false, true, false, false, false, false}, any)
}

// A source with all its mutants is one that compiles, and has each of them in a
// function of its own.
func TestSchemata(t *testing.T) {
	all, err := Enumerate("p.go", sample)
	require.NoError(t, err)
	all = append(all, &Mutant{Name: "another", Edits: []Edit{{File: "p.go", Old: "{ _ = x }", New: "{ println(os.Args) }"}, {File: "p.go", Old: "import \"golang", New: "import \"os\"\nimport \"golang"}}},
		&Mutant{Name: "own", Edits: []Edit{{File: "p.go", Old: "type T", New: "type U int\n\ntype T"}}},
		&Mutant{Name: "bad", Edits: []Edit{{File: "p.go", Old: "no such text", New: "x"}}})
	files, own, errs := schemata("m", func(string) (string, error) { return sample, nil }, all)
	require.Len(t, own, 1)
	assert.Equal(t, "own", own[0].Name)
	require.Len(t, errs, 1)
	set := token.NewFileSet()
	var parsed []*ast.File
	for _, name := range []string{"p.go", "mutant_hook.go"} {
		f, err := parser.ParseFile(set, name, files[name], 0)
		require.NoError(t, err, files[name])
		parsed = append(parsed, f)
	}
	config := types.Config{Importer: importer.ForCompiler(set, "source", nil), Error: func(err error) {
		if text := err.Error(); !strings.Contains(text, "could not import m/") && !strings.Contains(text, "on.") {
			t.Error(text)
		}
	}}
	_, _ = config.Check("p", set, parsed, nil)
	variants := 0
	for _, d := range parsed[0].Decls {
		if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "mutant") {
			variants++
		}
	}
	assert.Equal(t, len(all)-2, variants)
	assert.Contains(t, files["p.go"], "case 12: mutant12none[X](mutantP0, x...); return;")
	assert.Contains(t, files["p.go"], "case 4: return mutantSelf.mutant4f(mutantP0, mutantP1...);")
	assert.Contains(t, files["p.go"], "\tmutantReached(4); if err != nil {")
}
