package linearizability

import (
	"context"
	"flag"
	"fmt"
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

// judged runs the program on a real store and judges its history.
func judged(t rapid.TB, dir, layout string, program Program, kept string) *Judgement {
	s, err := newScene(dir, site{Layout: layout}, "rapid")
	require.NoError(t, err)
	defer s.remove()
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
