package spec_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TLC reads Inductive.tla, and finds that it holds where the models' invariants do.
// That each step keeps it is no matter for TLC: package model/proof.
func TestInductiveHoldsInTheModelsOfTLC(t *testing.T) {
	jar := os.Getenv("TLA2TOOLS_JAR")
	if jar == "" || testing.Short() {
		t.Skip("skipped, because TLA2TOOLS_JAR does not say where tla2tools.jar is")
	}
	properties := regexp.MustCompile(`(?m)^(INVARIANTS?|PROPERT(Y|IES)) .*$`)
	for _, name := range []string{"GateOrphanFallback", "GateMount", "GateReleaseRefinement", "GateInspect"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			modules, err := filepath.Glob("*.tla")
			require.NoError(t, err)
			for _, module := range modules {
				text, err := os.ReadFile(module)
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, module), text, 0o600))
			}
			config, err := os.ReadFile(name + ".cfg")
			require.NoError(t, err)
			config = append(properties.ReplaceAll(config, nil), "\nINVARIANT Inductive\n"...)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name+".cfg"), config, 0o600))
			cmd := exec.CommandContext(t.Context(), "java", "-Djava.io.tmpdir="+dir, "-cp", jar, "tlc2.TLC", "-workers", "1", "-config", name+".cfg", "Inductive.tla")
			cmd.Dir = dir
			output, err := cmd.CombinedOutput()
			require.NoError(t, err, string(output))
			assert.Contains(t, string(output), "No error has been found")
		})
	}
}
