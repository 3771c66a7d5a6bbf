package crashsim_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim"
)

func TestWhichClaimNeedsWhichFsync(t *testing.T) {
	needs, err := crashsim.Needs(t.Context(), 2)
	require.NoError(t, err)
	require.NoError(t, crashsim.WriteNeeds(os.Stdout, needs))
}
