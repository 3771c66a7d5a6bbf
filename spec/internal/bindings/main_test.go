package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Whether the hashes are those of now is for scripts/bindings, which .ci/run calls.
func TestEveryFunctionHasAnActionOrAReason(t *testing.T) {
	problems, err := run("../../..", false)
	require.NoError(t, err)
	for _, p := range problems {
		assert.Contains(t, p, "--accept")
	}
	rows, err := read("../../../" + file)
	require.NoError(t, err)
	bound := 0
	for _, r := range rows {
		if r.hash != "" {
			bound++
		}
	}
	assert.Greater(t, bound, 100)
}

func TestChangesAreReported(t *testing.T) {
	const code = "package tempdir\n\n// F does.\nfunc F() {\n\tprintln(1)\n}\n"
	tests := []struct {
		name, file, code, table string
		want                    string // of the one problem; "": none
	}{
		{"nothing changed", "a.go", code, "= A\ntempdir.F", ""},
		{"comment and layout", "a.go", strings.ReplaceAll(code, "\tprintln", "\t// why\n\n\tprintln"), "= A\ntempdir.F", ""},
		{"moved to another file", "b.go", code, "= A\ntempdir.F", ""},
		{"changed", "a.go", strings.ReplaceAll(code, "1", "2"), "= A\ntempdir.F", "tempdir.F changed: does A (M.tla:2)"},
		{"changed, no action", "a.go", strings.ReplaceAll(code, "1", "2"), "- a reason\ntempdir.F", ""},
		{"new", "a.go", code + "\nfunc (t *T) G() {}\n", "= A\ntempdir.F", "tempdir.T.G is not in"},
		{"of another system", "a_windows.go", "package tempdir\n\nfunc G() {}\n", "- a reason\ntempdir.F", "tempdir.F is not in the code any more"},
		{"twice", "a.go", code, "= A\ntempdir.F\ntempdir.F", "is there twice"},
		{"no such action", "a.go", code, "= A B\ntempdir.F", "no module defines B"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			top := t.TempDir()
			put := func(name, text string) {
				path := filepath.Join(top, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			}
			put("spec/M.tla", "\nA(p) ==\n  TRUE\n")
			put(file, test.table+"\n- a reason\nlayerstore.H\n")
			put("tempdir/a.go", code)
			put("tempdir/layerstore/layer.go", "package layerstore\n\nfunc H() {}\n")
			_, err := run(top, true)
			require.NoError(t, err)
			require.NoError(t, os.Remove(filepath.Join(top, "tempdir/a.go")))
			put("tempdir/"+test.file, test.code)
			problems, err := run(top, false)
			require.NoError(t, err)
			if test.want == "" {
				assert.Empty(t, problems)
			} else if assert.Len(t, problems, 1) {
				assert.Contains(t, problems[0], test.want)
			}
		})
	}
}
