package linearizability

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
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

// allKinds are the kinds of operation, the simple ones first.
func allKinds() (kinds []Kind) {
	for _, w := range kindWeights {
		kinds = append(kinds, w.kind)
	}
	return kinds
}

// programs are programs of some clients, that shrink to few clients, few actions
// and the first layer.
func programs(clients, actions int, kinds ...Kind) *rapid.Generator[Program] {
	action := rapid.Custom(func(t *rapid.T) Action {
		return newAction(rapid.SampledFrom(kinds).Draw(t, "kind"), rapid.IntRange(0, len(layerNames)-1).Draw(t, "layer"), rapid.Bool().Draw(t, "another"))
	})
	return rapid.Custom(func(t *rapid.T) Program {
		return rapid.SliceOfN(rapid.SliceOfN(action, 1, actions), 1, clients).Draw(t, "clients")
	})
}

// judged runs the program on a real store and judges its history.
func judged(t rapid.TB, dir, layout string, program Program, f fault, kept string) *Judgement {
	s, err := newScene(dir, site{Layout: layout}, "rapid")
	require.NoError(t, err)
	defer s.remove()
	require.NoError(t, s.run(context.Background(), 1, program, f))
	require.NoError(t, s.observe(context.Background(), f))
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
				program := programs(clients, 12, allKinds()...).Draw(t, "program")
				layout := rapid.SampledFrom([]string{"vfs", "overlay"}).Draw(t, "layout")
				n++
				kept := filepath.Join(os.TempDir(), fmt.Sprintf("afterlock-history-rapid-%d-%s-%d", os.Getpid(), name, n))
				j := judged(t, filepath.Join(dir, fmt.Sprint(n)), layout, program, fault{}, kept)
				require.Equal(t, OK, j.Verdict, "%s\n%sjudge it again: afterlock check %s", j, program, kept)
				operations += j.Operations
				_ = os.Remove(kept)
			})
			require.Positive(t, operations)
			t.Logf("%d programs, %d operations", n, operations)
		})
	}
}

// What rapid finds on a faulty store shrinks to the operations that matter.
func TestFailuresShrink(t *testing.T) {
	setFlag(t, "rapid.checks", "200")
	setFlag(t, "rapid.seed", "1")
	setFlag(t, "rapid.nofailfile", "true")
	dir, n := testfs.InMemory(t), 0
	var last Program
	failed := &silentTB{TB: t}
	failed.run(func() {
		rapid.Check(failed, func(r *rapid.T) {
			program := programs(1, 6, Create, Exists, Delete).Draw(r, "program") // of one client: what is not repeatable does not shrink
			n++
			j := judged(r, filepath.Join(dir, fmt.Sprint(n)), "vfs", program, faults["lost create"], filepath.Join(dir, "history"))
			if j.Verdict != OK {
				last = program
				r.Fatalf("%s", j)
			}
		})
	})
	t.Logf("%d programs", n)
	require.True(t, failed.Failed())
	// Which layer it is does not matter.
	assert.Equal(t, "client 0: create "+last[0][0].Layers[0]+"\n", last.String())
}

// A silentTB is the test that rapid fails: of it rapid uses what is here.
type silentTB struct {
	rapid.TB
	failed bool
}

// run calls f until it ends or fails.
func (s *silentTB) run(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func (s *silentTB) Helper()               {}
func (s *silentTB) Logf(string, ...any)   {}
func (s *silentTB) Errorf(string, ...any) { s.failed = true }
func (s *silentTB) Fatalf(string, ...any) { s.FailNow() }
func (s *silentTB) FailNow()              { s.failed = true; runtime.Goexit() }
func (s *silentTB) Failed() bool          { return s.failed }
