package linearizability

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/afterlock/afterlock/internal/testfs"
)

// setFlag sets a flag of rapid for one test, unless the command line has.
func setFlag(t *testing.T, name, value string) {
	f := flag.Lookup(name)
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if given {
		return
	}
	before := f.Value.String()
	require.NoError(t, f.Value.Set(value))
	t.Cleanup(func() { _ = f.Value.Set(before) })
}

// programs are programs of some clients, that shrink to few clients, few actions,
// the simple kinds and the first layer.
func programs(clients, actions int) *rapid.Generator[Program] {
	var kinds []Kind
	for _, w := range kindWeights {
		kinds = append(kinds, w.kind)
	}
	action := rapid.Custom(func(t *rapid.T) Action {
		return newAction(rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.IntRange(0, len(layerNames)-1).Draw(t, "layer"), rapid.Bool().Draw(t, "another"))
	})
	return rapid.Custom(func(t *rapid.T) Program {
		return rapid.SliceOfN(rapid.SliceOfN(action, 1, actions), 1, clients).Draw(t, "clients")
	})
}

// judged runs the program on a real store and judges its history. A process that is
// killed may come first.
func judged(t rapid.TB, dir, layout string, program Program, kept string, first ...generation) *Judgement {
	s, err := newScene(dir, site{Layout: layout}, "rapid")
	require.NoError(t, err)
	defer s.remove()
	for i, g := range first {
		_, err := s.fork(context.Background(), 2+i, g, "")
		require.NoError(t, err)
	}
	require.NoError(t, s.run(context.Background(), 1, program, fault{}))
	require.NoError(t, s.observe(context.Background(), fault{}))
	h, err := s.history()
	require.NoError(t, err)
	require.NoError(t, h.Save(kept))
	j, err := Judge(context.Background(), h, 0)
	require.NoError(t, err)
	return j
}

// Generated programs of one client and of several have histories that are ok. A
// failure prints the shrunk program.
func TestGeneratedPrograms(t *testing.T) {
	for name, clients := range map[string]int{"sequential": 1, "concurrent": 4} {
		t.Run(name, func(t *testing.T) {
			checks := "60"
			if testing.Short() {
				checks = "10" // of which rapid makes a fifth
			}
			setFlag(t, "rapid.checks", checks)
			dir, n, operations := testfs.InMemory(t), 0, 0
			rapid.Check(t, func(t *rapid.T) {
				program := programs(clients, 12).Draw(t, "program")
				layout := rapid.SampledFrom([]string{"vfs", "overlay"}).Draw(t, "layout")
				n++
				kept := filepath.Join(os.TempDir(), fmt.Sprintf("afterlock-history-rapid-%d-%s-%d", os.Getpid(), name, n))
				j := judged(t, filepath.Join(dir, fmt.Sprint(n)), layout, program, kept)
				require.Equal(t, OK, j.Verdict, "%s\n%sjudge it again: afterlock check %s", j, program, kept)
				operations += j.Operations
				_ = os.Remove(kept)
			})
			require.Positive(t, operations)
			t.Logf("%d programs, %d operations", n, operations)
		})
	}
}

// FuzzStore: histories of a store are legal, whatever its clients do; in one of eight
// programs a process was killed before one of its system calls, and another goes on.
func FuzzStore(f *testing.F) {
	dir, n := testfs.InMemory(f), 0
	for seed := range byte(4) {
		drawn := make([]byte, 256)
		_, _ = rand.NewChaCha8([32]byte{seed}).Read(drawn)
		f.Add(drawn)
	}
	play := rapid.MakeFuzz(func(t *rapid.T) {
		program := programs(3, 8).Draw(t, "program")
		layout := rapid.SampledFrom([]string{"vfs", "overlay"}).Draw(t, "layout")
		var first []generation
		if rapid.IntRange(0, 7).Draw(t, "killed") == 7 {
			first = append(first, generation{program: programs(2, 6).Draw(t, "killed program"), crash: rapid.Int64Range(1, 120).Draw(t, "call")})
		}
		n++
		kept := filepath.Join(dir, fmt.Sprintf("history-%d", n))
		j := judged(t, filepath.Join(dir, fmt.Sprint(n)), layout, program, kept, first...)
		if j.Verdict != OK {
			text, _ := os.ReadFile(kept)
			t.Fatalf("%s\n%s\nfor afterlock check:\n%s", j, program, text)
		}
		_ = os.Remove(kept)
	})
	f.Fuzz(func(t *testing.T, drawn []byte) {
		if len(drawn) > 0 { // rapid leaves what is too short for a program
			drawn = bytes.Repeat(drawn, 1+2048/len(drawn))
		}
		play(t, drawn)
	})
}
