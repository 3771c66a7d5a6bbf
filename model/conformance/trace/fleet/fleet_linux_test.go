package fleet

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/model/conformance/trace"
)

func TestMain(m *testing.M) { proc.Main(m) }

func TestTracesAreBehaviours(t *testing.T) {
	c := Config{Dir: t.TempDir(), Seed: rand.Uint64(), Events: 100_000}
	if testing.Short() {
		c.Events /= 5
	}
	report, err := Run(t.Context(), c)
	require.NoError(t, err)
	t.Logf("seed %d: %+v", c.Seed, report)
	assert.Empty(t, report.Problems)
	assert.Zero(t, report.Lost+report.Partial)
	assert.Equal(t, trace.Valid, report.Validation.Verdict, report.Validation.Because)
	for what, n := range map[string]int64{
		"by goroutines": report.GoroutineEvents, "by processes": report.ProcessEvents, "kills": report.Kills,
		"looks": report.Looks, "commits": report.Commits,
		"instances": report.Validation.Instances, "adoptions": report.Validation.Adoptions, "live instances met": report.Validation.Busy,
	} {
		assert.Positive(t, n, what)
	}
	requireEmpty(t, c.Dir)
}

// Every worker has the mutant. What was lost is said at once, and the trace of
// what is no behaviour is kept, and says the same when it is read again.
func TestMutantsAreKilled(t *testing.T) {
	for mutant, wants := range map[string]string{
		"blind":    "", // the calls are no behaviour
		"leaker":   "leaked descriptor",
		"litterer": `left in the root after the last recovery: "litter"`,
	} {
		t.Run(mutant, func(t *testing.T) {
			if testing.Short() && wants == "" {
				t.Skip("skipped, because it records for a while")
			}
			report, err := Run(t.Context(), Config{Dir: t.TempDir(), Seed: 1, Events: 20_000, kernel: mutant})
			require.NoError(t, err)
			assert.Contains(t, strings.Join(report.Problems, "\n"), wants)
			if wants != "" {
				return
			}
			require.Equal(t, trace.Invalid, report.Validation.Verdict, "%+v", report)
			assert.Contains(t, strings.Join(report.Validation.Problems, "\n"), "no behaviour of the model")
			saved, err := trace.Open(report.Saved)
			require.NoError(t, err)
			again, err := trace.Validate(t.Context(), saved)
			require.NoError(t, err)
			assert.Equal(t, report.Validation.Problems, again.Problems)
		})
	}
}

func TestTheEnvironmentIsNoFinding(t *testing.T) {
	c := Config{Dir: t.TempDir(), Seed: 1}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Progress = func(string) { cancel() }
	_, err := Run(ctx, c)
	assert.ErrorIs(t, err, context.Canceled)
	requireEmpty(t, c.Dir)

	_, err = Run(t.Context(), Config{Dir: filepath.Join(c.Dir, "missing")})
	assert.ErrorIs(t, err, ErrEnvironment)
	report, err := Run(t.Context(), Config{Dir: c.Dir, kernel: "no such kernel"})
	require.NoError(t, err)
	assert.Contains(t, report.Problems[0], `no such kernel: "no such kernel"`)
}

// A worker whose root cannot be opened would be taken for a full disk.
func TestCallsFailOnceTheRootIsOpen(t *testing.T) {
	f := &faults{rng: rand.New(rand.NewPCG(1, 1))}
	failed := func() (n int) {
		for range 100 * failEvery {
			if f.Before(&kernel.Call{Method: kernel.Stat}) != nil {
				n++
			}
		}
		return n
	}
	assert.Zero(t, failed())
	f.armed = true
	assert.Positive(t, failed())
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries, "left in %s", dir)
}
