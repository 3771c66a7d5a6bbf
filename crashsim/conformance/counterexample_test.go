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
			t.Logf("%s in %v\n%s", r.Damage, r.Elapsed, table.String())
		})
	}
}
