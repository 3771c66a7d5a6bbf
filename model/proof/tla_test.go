package proof

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInductiveIsTheInvariant(t *testing.T) {
	const file = "../../spec/Inductive.tla"
	if os.Getenv("AFTERLOCK_WRITE") != "" {
		require.NoError(t, os.WriteFile(file, []byte(TLA()), 0o644))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, TLA(), string(text), "generated: AFTERLOCK_WRITE=1 go test ./model/proof -run Inductive")
}
