//go:build linux

package conformance

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	BecomeProcess()
	os.Exit(m.Run())
}

// scratch is a directory in memory if there is one, since ext4 is slow at
// making inodes.
func scratch(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "conformance-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func TestEveryCounterexampleDoesItsDamage(t *testing.T) {
	dir := scratch(t)
	for _, name := range Counterexamples() {
		t.Run(name, func(t *testing.T) {
			var table strings.Builder
			r, err := ReplayCounterexample(context.Background(), CounterexampleOptions{Model: name, Dir: dir, Runs: 2, Out: &table})
			require.NoError(t, err)
			if r.Skipped != "" {
				t.Skip("skipped, because " + r.Skipped)
			}
			require.Empty(t, r.Difference, table.String())
			assert.Equal(t, r.Runs, r.Damaged)
			assert.NotEmpty(t, r.Damage)
			assert.Empty(t, r.Ours.Lost)
			assert.Equal(t, 2*r.Runs, r.Ours.Survived, "as it is, and with creators that go on first")
			assert.Equal(t, r.Steps > 0, r.Ours.Followed > 0)
			t.Logf("ours: %d followed, refused:\n%s", r.Ours.Followed, strings.Join(r.Ours.Refused, "\n"))
			t.Logf("%s in %v\n%s", r.Damage, r.Elapsed, table.String())
		})
	}
}

// The model of upstream is what its code does: every step of its whole graph is
// executed by the fixture, in forked processes.
func TestTheFixtureIsTheModelOfUpstream(t *testing.T) {
	names := []string{"UpstreamAsShipped"}
	if !testing.Short() {
		names = append(names, "UpstreamCommit")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			r, err := Run(context.Background(), Options{Model: name, Dir: scratch(t)})
			require.NoError(t, err)
			if d := r.Divergence; d != nil {
				t.Fatalf("%s\nafterlock replay conformance:%s", d, d.Schedule)
			}
			assert.Equal(t, r.Edges, r.EdgesRun)
			assert.GreaterOrEqual(t, r.Compared, r.Steps)
			t.Logf("%d edges, %d steps, %.0f a second", r.Edges, r.Steps, float64(r.Steps)/r.Elapsed.Seconds())
		})
	}
}
