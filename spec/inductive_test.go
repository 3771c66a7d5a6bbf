package spec_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var checked = regexp.MustCompile(`(?m)^(INVARIANTS?|PROPERT(Y|IES)) .*$`)

// checkInductive runs TLC on an invariant of Inductive.tla or InductiveBeside.tla with the
// constants of a model. Inductive.tla and the configuration are changed first.
func checkInductive(t *testing.T, name, invariant string, module, config func(string) string) string {
	jar := os.Getenv("TLA2TOOLS_JAR")
	if jar == "" || testing.Short() {
		t.Skip("skipped, because TLA2TOOLS_JAR does not say where tla2tools.jar is")
	}
	dir := t.TempDir()
	modules, err := filepath.Glob("*.tla")
	require.NoError(t, err)
	for _, file := range append(modules, name+".cfg") {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		switch file {
		case "Inductive.tla":
			text = []byte(module(string(text)))
		case name + ".cfg":
			text = []byte(config(checked.ReplaceAllString(string(text), "")) + "\nINVARIANT " + invariant + "\n")
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), text, 0o600))
	}
	cmd := exec.CommandContext(t.Context(), "java", "-Djava.io.tmpdir="+dir, "-cp", jar, "tlc2.TLC", "-workers", "1", "-config", name+".cfg", "InductiveBeside.tla")
	cmd.Dir = dir
	output, _ := cmd.CombinedOutput() // it says what it found
	return string(output)
}

func asItIs(text string) string { return text }

// TLC reads the modules, and finds that the invariants hold in models that they are about.
func TestInductiveHoldsInTheModelsOfTLC(t *testing.T) {
	for name, invariant := range map[string]string{
		"GateOrphanFallback": "Inductive", "GateMount": "Inductive", "GateReleaseRefinement": "Inductive", "GateInspect": "Inductive",
		"HarmlessTable": "InductivePosix", "GateTogether": "InductiveUpstreamOwners",
		"MixedOurCreatorsRefinement": "InductiveOurOwners", "GateTogetherFallback": "InductiveOurOwners",
		"RepairedUpstream": "InductiveRepaired",
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, checkInductive(t, name, invariant, asItIs, asItIs), "No error has been found")
		})
	}
}

// And a step from any state that has it, of one creator, one recoverer and one id, reachable
// or not, leads to one that has it, for TLC as for the solvers; without a clause none does.
func TestInductiveIsInductiveForTLC(t *testing.T) {
	initial := func(text string) string {
		return strings.Replace(text, "SPECIFICATION Spec", "INIT InductiveInit\nNEXT Next\nCONSTRAINT OneStep", 1)
	}
	t.Run("with unnamed files", func(t *testing.T) {
		output := checkInductive(t, "GateRefinement", "Inductive", asItIs, func(text string) string {
			return strings.NewReplacer("Addition    = {a1}", "Addition    = {}", "Files       = 2", "Files       = 1", "MayRelease  = FALSE", "MayRelease  = TRUE").Replace(initial(text))
		})
		assert.Contains(t, output, "No error has been found")
		assert.Regexp(t, `\n[0-9]{6} states generated, [0-9]{5} distinct`, output)
	})
	t.Run("without OneHolder", func(t *testing.T) {
		without := strings.NewReplacer("  /\\ OneHolder\n", "", "  /\\ PastLockHolds\n", "").Replace
		assert.Contains(t, checkInductive(t, "GateRefinementFallback", "Inductive", without, initial), "Invariant Inductive is violated")
	})
}
