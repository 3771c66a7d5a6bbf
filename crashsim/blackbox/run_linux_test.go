package blackbox

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestEveryCrashIsRecovered(t *testing.T) {
	r, err := Run(t.Context(), Options{Dir: "/dev/shm"})
	require.NoError(t, err)
	assert.Empty(t, r.Problems)
	fmt.Printf("%+v\n", r)
}
