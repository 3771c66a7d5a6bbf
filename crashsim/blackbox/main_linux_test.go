//go:build amd64 || arm64

package blackbox

import (
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// built are the programs, built once for all tests.
var built struct {
	once     sync.Once
	dir      string
	binaries map[string]string
	err      error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// newCampaign returns a campaign with one worker, or skips the test.
func newCampaign(t testing.TB) (*campaign, *worker) {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp(memory(), "afterlock-box-"); built.err == nil {
			built.binaries, built.err = buildBinaries(t.Context(), built.dir)
		}
	})
	if built.err != nil {
		t.Skipf("skipped, because the programs cannot be built: %v", built.err)
	}
	dir, err := os.MkdirTemp(memory(), "afterlock-box-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := &campaign{Options: Options{Workers: 1, Seed: 1}, binaries: built.binaries}
	t.Cleanup(c.close)
	if err := c.openWorkers(dir); err != nil {
		t.Skipf("skipped, because processes cannot be supervised here: %v", err)
	}
	return c, c.workers[0]
}
