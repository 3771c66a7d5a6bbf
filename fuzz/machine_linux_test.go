package fuzz

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/tempdir"
)

// names are those in a directory, with how many files each has.
func names(t rapid.TB, dir string) map[string]int {
	all := map[string]int{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		files, _ := os.ReadDir(filepath.Join(dir, entry.Name()))
		all[entry.Name()] = len(files)
	}
	return all
}

// machine is what callers of two handles of one root may do, in any order, and what
// must be there after each step.
func machine(t *rapid.T, dir string) {
	layers := filepath.Join(dir, "layers")
	for _, name := range []string{"root", "layers"} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	var roots []*tempdir.Root
	for range 2 {
		root, err := tempdir.Open(filepath.Join(dir, "root"))
		require.NoError(t, err)
		defer func() { require.NoError(t, root.Close()) }()
		roots = append(roots, root)
	}
	root := func(t *rapid.T) *tempdir.Root { return roots[rapid.IntRange(0, 1).Draw(t, "root")] }
	layer := rapid.SampledFrom([]string{"a", "b", "c"})
	var open []*tempdir.Dir
	stale := map[string]bool{}
	entries, there := map[string]int{}, map[string]int{} // trees in an instance, files in a layer
	pick := func(t *rapid.T) *tempdir.Dir {
		if len(open) == 0 {
			t.Skip("no instance is open")
		}
		return open[rapid.IntRange(0, len(open)-1).Draw(t, "instance")]
	}
	ends := func(d *tempdir.Dir) { open = slices.DeleteFunc(open, func(o *tempdir.Dir) bool { return o == d }) }
	build := func(t *rapid.T, path string) int {
		require.NoError(t, os.Mkdir(path, 0o700))
		n := rapid.IntRange(0, 2).Draw(t, "files")
		for i := range n {
			require.NoError(t, os.WriteFile(filepath.Join(path, fmt.Sprint(i)), nil, 0o600))
		}
		return n
	}
	t.Repeat(map[string]func(*rapid.T){
		"make": func(t *rapid.T) {
			name := layer.Draw(t, "layer")
			if _, is := there[name]; !is {
				there[name] = build(t, filepath.Join(layers, name))
			}
		},
		"create": func(t *rapid.T) {
			d, err := root(t).Create()
			require.NoError(t, err)
			open = append(open, d)
		},
		"delete": func(t *rapid.T) {
			d, name := pick(t), layer.Draw(t, "layer")
			err := d.StageDeletion(filepath.Join(layers, name))
			if _, is := there[name]; !is {
				require.ErrorIs(t, err, tempdir.ErrVictimGone)
				return
			}
			require.NoError(t, err)
			entries[d.ID()]++
			delete(there, name)
		},
		"add": func(t *rapid.T) {
			d, name := pick(t), layer.Draw(t, "layer")
			addition, err := d.StageAddition()
			require.NoError(t, err)
			files := build(t, addition.Path())
			entries[d.ID()]++
			err = addition.Commit(filepath.Join(layers, name))
			if _, is := there[name]; is {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			entries[d.ID()]--
			there[name] = files
		},
		"close": func(t *rapid.T) {
			d := pick(t)
			require.NoError(t, d.Close(t.Context()))
			ends(d)
		},
		"release": func(t *rapid.T) {
			d := pick(t)
			require.NoError(t, d.Release())
			ends(d)
			stale[d.ID()] = true
		},
		"recover": func(t *rapid.T) {
			report, err := root(t).Recover(t.Context())
			require.NoError(t, err)
			require.Len(t, report.Results, len(open)+len(stale))
			for _, r := range report.Results {
				require.Equal(t, stale[r.ID], r.Outcome == tempdir.Recovered, "%s: %v", r.ID, r.Outcome)
			}
			clear(stale)
		},
		"": func(t *rapid.T) {
			require.Equal(t, there, names(t, layers))
			want := map[string]int{}
			for id := range stale {
				want["lock-"+id], want["temp-dir-"+id] = 0, entries[id]
			}
			for _, d := range open {
				want["lock-"+d.ID()], want["temp-dir-"+d.ID()] = 0, entries[d.ID()]
			}
			require.Equal(t, want, names(t, filepath.Join(dir, "root")))
			seen, err := root(t).Instances(t.Context())
			require.NoError(t, err)
			for _, i := range seen {
				require.Equal(t, stale[i.Name], i.State == tempdir.Stale, "%s: %v", i.Name, i.State)
			}
		},
	})
	for _, d := range open {
		require.NoError(t, d.Close(t.Context()))
	}
}

// Callers of a root get what its documentation says, whatever they do, and the root
// has what it should.
func TestMachine(t *testing.T) {
	dir := testfs.InMemory(t)
	rapid.Check(t, func(t *rapid.T) { machine(t, dir) })
}
