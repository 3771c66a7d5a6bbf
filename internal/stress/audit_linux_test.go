package stress

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each case is a journal and what is on disk. Layer "a" is of the layout,
// "copy" is an addition with a's content.
func TestAuditJudgesEveryFate(t *testing.T) {
	var (
		chosen     = record{Operation: deletion, Event: invoked, Layer: "a"}
		deleted    = record{Operation: deletion, Event: responded, Layer: "a"}
		committing = record{Operation: commit, Event: invoked, Layer: "copy", Source: "a"}
		committed  = record{Operation: commit, Event: responded, Layer: "copy", Source: "a"}
	)
	const whole, half, gone = "whole", "half", ""
	for _, tt := range []struct {
		name    string
		journal []record
		a, copy string
		problem string // "": all is well
	}{
		{name: "never chosen, whole", a: whole},
		{name: "never chosen, gone", a: gone, problem: "a is gone, and nobody deleted it"},
		{name: "never chosen, partial", a: half, problem: "a is damaged"},
		{name: "deleted, gone", journal: []record{chosen, deleted}, a: gone},
		{name: "deleted, there again", journal: []record{chosen, deleted}, a: whole, problem: "a was deleted, and is there again"},
		{name: "deletion pending, whole", journal: []record{chosen}, a: whole},
		{name: "deletion pending, gone", journal: []record{chosen}, a: gone},
		{name: "deletion pending, partial", journal: []record{chosen}, a: half, problem: "a is damaged"},
		{name: "chosen twice, then deleted", journal: []record{chosen, chosen, deleted}, a: gone},
		{name: "committed, whole", journal: []record{committing, committed}, a: whole, copy: whole},
		{name: "committed, gone", journal: []record{committing, committed}, a: whole, copy: gone, problem: "copy is gone, and nobody deleted it"},
		{name: "committed, partial", journal: []record{committing, committed}, a: whole, copy: half, problem: "copy is damaged"},
		{name: "commit pending, whole", journal: []record{committing}, a: whole, copy: whole},
		{name: "commit pending, gone", journal: []record{committing}, a: whole, copy: gone},
		{name: "commit pending, partial", journal: []record{committing}, a: whole, copy: half, problem: "copy is damaged"},
		{name: "made by nobody", a: whole, copy: whole, problem: "copy is there, and nobody made it"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			layers := filepath.Join(dir, "layers")
			makeLayer(t, filepath.Join(layers, "a"), true)
			hash, err := hashTree(filepath.Join(layers, "a"))
			require.NoError(t, err)
			for name, state := range map[string]string{"a": tt.a, "copy": tt.copy} {
				path := filepath.Join(layers, name)
				require.NoError(t, os.RemoveAll(path))
				if state != gone {
					makeLayer(t, path, state == whole)
				}
			}
			journal := filepath.Join(dir, "journal")
			var lines []byte
			for _, r := range tt.journal {
				line, err := json.Marshal(r)
				require.NoError(t, err)
				lines = append(append(lines, line...), '\n')
			}
			require.NoError(t, os.WriteFile(journal, lines, 0o600))

			a, err := auditLayers(layers, journal, map[string]layer{"a": {Hash: hash}})
			require.NoError(t, err)
			if tt.problem == "" {
				assert.Empty(t, a.problems)
			} else {
				require.Len(t, a.problems, 1)
				assert.Contains(t, a.problems[0], tt.problem)
			}
		})
	}
}

func makeLayer(t *testing.T, path string, whole bool) {
	require.NoError(t, os.MkdirAll(path, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(path, "one"), []byte("1"), 0o644))
	if whole {
		require.NoError(t, os.WriteFile(filepath.Join(path, "two"), []byte("2"), 0o644))
	}
}

func TestHashTellsTreesApart(t *testing.T) {
	hash := func(change func(dir string)) string {
		dir := t.TempDir()
		makeLayer(t, dir, true)
		require.NoError(t, os.Symlink("one", filepath.Join(dir, "link")))
		require.NoError(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
		change(dir)
		sum, err := hashTree(dir)
		require.NoError(t, err)
		return sum
	}
	same := hash(func(string) {})
	assert.Equal(t, same, hash(func(string) {}))
	for name, change := range map[string]func(dir string) error{
		"name":        func(dir string) error { return os.Rename(dir+"/one", dir+"/three") },
		"content":     func(dir string) error { return os.WriteFile(dir+"/one", []byte("7"), 0o644) },
		"size":        func(dir string) error { return os.Truncate(dir+"/one", 0) },
		"permissions": func(dir string) error { return os.Chmod(dir+"/one", 0o400) },
		"target":      func(dir string) error { os.Remove(dir + "/link"); return os.Symlink("two", dir+"/link") },
		"type":        func(dir string) error { os.Remove(dir + "/sub"); return os.WriteFile(dir+"/sub", nil, 0o755) },
		"missing":     func(dir string) error { return os.Remove(dir + "/sub") },
		"more":        func(dir string) error { return os.Mkdir(dir+"/sub2", 0o755) },
	} {
		assert.NotEqual(t, same, hash(func(dir string) { require.NoError(t, change(dir)) }), name)
	}
}
