package stress

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/afterlock/afterlock/internal/kernel"
)

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
