package proof

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestInductiveIsTheInvariant(t *testing.T) {
	var all string
	for file, want := range map[string]string{"Inductive.tla": TLA(), "InductiveBeside.tla": TLABeside()} {
		file = filepath.Join("../../spec", file)
		if os.Getenv("AFTERLOCK_WRITE") != "" {
			require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, want, string(text), "generated: AFTERLOCK_WRITE=1 go test ./model/proof -run Inductive")
		all += string(text)
	}
	for _, th := range Theories() {
		invariant, clauses := TLAOf(th)
		switch th.Name {
		case "ours", "refinement":
			invariant = "Inductive"
		case "powerloss": // the disk as it would be found is no variable of a module: PowerLoss.tla has a log
			continue
		}
		_, text, isThere := strings.Cut(all, "\n"+invariant+" ==\n")
		assert.True(t, isThere, "no module has the invariant of %s", th.Name)
		text, _, _ = strings.Cut(text, "\n\n")
		for _, name := range clauses {
			assert.Contains(t, all, "\n"+name+" ==\n", th.Name)
			assert.Contains(t, strings.Fields(text), name, th.Name)
		}
	}
}
