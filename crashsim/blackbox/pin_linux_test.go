//go:build amd64 || arm64

package blackbox

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestPinTakesTheAllowedProcessorsInTurn(t *testing.T) {
	var allowed, others unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &allowed))
	for i := range 2 * allowed.Count() {
		pinned := make(chan unix.CPUSet)
		go func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			pin(i)
			var set unix.CPUSet
			_ = unix.SchedGetaffinity(0, &set)
			pinned <- set
		}()
		set := <-pinned
		if set == allowed && allowed.Count() > 1 {
			t.Skip("skipped, because threads cannot be bound to a processor here")
		}
		assert.Equal(t, 1, set.Count())
		for processor := range 1024 {
			if set.IsSet(processor) {
				assert.True(t, allowed.IsSet(processor))
				others.Set(processor)
			}
		}
	}
	assert.Equal(t, allowed, others, "each of them")
	var now unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &now))
	assert.Equal(t, allowed, now, "and nobody else is bound")
}
