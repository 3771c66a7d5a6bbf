package subjects

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// small is a module with what edits look for.
const small = `package small

import "example.org/store/internal/tempdir"

type store struct{}

func (s *store) load() error {
	if writable {
		if err := tempdir.Recover("a"); err != nil {
			return err
		}
		for range 2 {
			if err := tempdir.Recover("b"); err != nil {
				return err
			}
		}
	}
	return nil
}

func load() int { return 1 }
`

func smallTree(t *testing.T) *tree {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "small.go"), []byte(small), 0o600))
	return &tree{&Workshop{Module: "example.org/store"}, dir}
}

func (t *tree) text(test *testing.T) string {
	text, err := os.ReadFile(filepath.Join(t.dir, "small.go"))
	require.NoError(test, err)
	return string(text)
}

func TestEditsPutTextInItsPlace(t *testing.T) {
	detach := func(statement, call string) string { return "go " + call }
	for _, c := range []struct {
		name string
		edit edit
		want string // what is there afterwards
		not  string // and what is not
	}{
		{"import", changeImport("internal/tempdir", "example.org/ours"), `import tempdir "example.org/ours"`, "store/internal"},
		{"another import", addImport("small.go", "pkg/looks"), "package small\n\nimport \"example.org/store/pkg/looks\"\n", "pkg/looks"},
		{"calls", replaceCalls("small.go", "store.load", "tempdir.Recover", detach), "go tempdir.Recover(\"a\")\n\t\tfor range 2 {\n\t\t\tgo tempdir.Recover(\"b\")\n", "return err"},
		{"calls that go", replaceCalls("small.go", "store.load", "tempdir.Recover", func(string, string) string { return "// gone" }), "for range 2 {\n\t\t\t// gone\n", "tempdir.Recover"},
		{"body of a function", replaceBody("small.go", "load", "return 2"), "func load() int {\nreturn 2\n}", "return 1"},
		{"body of a method", replaceBody("small.go", "store.load", "return nil"), "func load() int { return 1 }", "tempdir.Recover"},
		{"string", replaceString("small.go", "store.load", "b", "c"), `tempdir.Recover("c")`, `Recover("b")`},
		{"start", atStart("small.go", "load", "var n int"), "func load() int {\nvar n int\n return 1 }", "func load() int { return"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree := smallTree(t)
			require.NoError(t, c.edit(t.Context(), tree))
			text := tree.text(t)
			require.Contains(t, text, c.want)
			require.NotContains(t, strings.ReplaceAll(text, c.want, ""), c.not)
			_, err := tree.parse("small.go")
			require.NoError(t, err)
		})
	}
}

func TestEditsWithoutTheirPlaceFail(t *testing.T) {
	same := func(statement, _ string) string { return statement }
	for name, c := range map[string]struct {
		edit edit
		want string
	}{
		"import":   {changeImport("internal/other", "example.org/ours"), "nothing imports internal/other"},
		"function": {atStart("small.go", "store.save", ""), "small.go has no function store.save"},
		"call":     {replaceCalls("small.go", "load", "tempdir.Recover", same), "load does not call tempdir.Recover"},
		"string":   {replaceString("small.go", "load", "b", "c"), `load has no "b"`},
		"file":     {replaceBody("other.go", "load", ""), "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := smallTree(t)
			require.ErrorContains(t, c.edit(t.Context(), tree), c.want)
			require.Equal(t, small, tree.text(t))
		})
	}
}
