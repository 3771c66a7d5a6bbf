//go:build amd64 || arm64

package blackbox

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSequenceFindsRunsThatMakeOtherCalls(t *testing.T) {
	s := sequence{}
	for i, name := range []string{"openat", "fcntl", "close"} {
		assert.Empty(t, s.next(i+1, name))
	}
	assert.Empty(t, s.next(2, "fcntl"))
	assert.NotEmpty(t, s.next(2, "pread64"))
	assert.NotEmpty(t, s.next(5, "openat"), "a call was passed over")
	assert.Empty(t, s.end(3))
	assert.NotEmpty(t, s.end(2))
}

// The Go runtime looks at its control group once a second, and a map has another
// order in every run. Neither may change which call is the k-th.
func TestARunMakesTheSameCallsForAsLongAsItsProcessLives(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it takes as long as the runtime waits")
	}
	_, w := newCampaign(t)
	names, calls, runs := []string{"delete", "recover-vfs"}, [2]sequence{}, 0
	for begin := time.Now(); runs < 20 || time.Since(begin) < 1500*time.Millisecond; runs++ {
		for i, name := range names {
			n := 0
			w.watch(t, findProgram(name), func(at *stop) {
				n++
				require.Empty(t, calls[i].next(n, anonymous(w.super.resolve(at).String())), "%s, run %d", name, runs)
			})
			require.Empty(t, calls[i].end(n), "%s, run %d", name, runs)
		}
	}
	t.Logf("%d and %d calls, the same in %d runs", len(calls[0]), len(calls[1]), runs)
}

func TestErrnosAreNotCountedOnWhenTheCallsChange(t *testing.T) {
	c, w := newCampaign(t)
	p := findProgram("empty")
	calls := &sequence{}
	for k := 1; k <= 5; k++ {
		_, err := c.failCall(w, p, k, unix.EIO, calls)
		require.NoError(t, err)
	}
	require.Empty(t, c.report.Problems)
	(*calls)[2] = "another"
	_, err := c.failCall(w, p, 6, unix.EIO, calls)
	require.NoError(t, err)
	require.Len(t, c.report.Problems, 1)
	assert.Contains(t, c.report.Problems[0], "call 3 is")
}

var drawn = regexp.MustCompile(`[0-9a-f]{32}|#[0-9]+`)

// anonymous is the text without ids, and without the numbers of unnamed files.
func anonymous(text string) string { return drawn.ReplaceAllString(text, "") }
