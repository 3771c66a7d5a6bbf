package linearizability

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHistoriesOfTheStoreAreOK(t *testing.T) {
	n := 10
	if testing.Short() {
		n = 2
	}
	if s := os.Getenv("N"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	dir := os.Getenv("D")
	if dir == "" {
		dir = t.TempDir()
	}
	begin := time.Now()
	report, err := Run(t.Context(), Config{Dir: dir, Seed: uint64(begin.UnixNano()), Goroutines: 2 * n, Processes: n})
	t.Logf("%v %+v", time.Since(begin), report)
	require.NoError(t, err)
	assert.Empty(t, report.Problems)
}
