package gate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model/proof"
)

// The solver that is built in says what the others said: of each theory, of each clause of
// one what it is used for, and of the proofs that must fail. The refinement, which takes it
// three times as long as all the others, is for verify --deep.
func TestTheBuiltInSolverSaysWhatOthersSay(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped with -short, because it takes five seconds of processor time")
	}
	var all []proof.Obligation
	want := map[string]string{} // by text
	ask := func(as string, questions []proof.Obligation) {
		for _, o := range questions {
			all, want[o.Text] = append(all, o), as
		}
	}
	recorded, err := proof.ReadRecorded()
	require.NoError(t, err)
	for _, th := range proof.Theories() {
		if th.Name == "refinement" {
			continue
		}
		ask("unsat", th.Obligations())
		for _, c := range th.Clauses {
			for as, questions := range th.Recorded(recorded[th.Name], c.Name) {
				if as == "sat" {
					ask(as, questions)
				}
			}
		}
	}
	answers, err := builtIn.Prove(t.Context(), all, func(Proved) {})
	require.NoError(t, err)
	for _, a := range answers {
		assert.Equal(t, want[a.Text], a.Answer, "%s of %s", a.Name, a.Theory)
	}
	for _, f := range proof.MustFails {
		wrong, err := builtIn.MustFail(t.Context(), f)
		require.NoError(t, err)
		assert.Empty(t, wrong)
	}
}
