package gate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
	"github.com/afterlock/afterlock/model/proof"
)

func solver(t *testing.T) Solver {
	if testing.Short() {
		t.Skip("asks a solver")
	}
	all := Solvers()
	if len(all) == 0 {
		t.Skip("skipped, because there is no solver: " + InstallSolvers)
	}
	return all[0]
}

func TestProofsThatMustFail(t *testing.T) {
	s := solver(t)
	for _, f := range proof.MustFails {
		t.Run(f.Model, func(t *testing.T) {
			wrong, err := s.MustFail(t.Context(), f)
			require.NoError(t, err)
			assert.Empty(t, wrong)
		})
	}
}

// The counterexample is one that the model itself has.
func TestACounterexampleToInductionIsShown(t *testing.T) {
	s := solver(t)
	th, err := proof.Of(model.Find("Rule2Recoverer"))
	require.NoError(t, err)
	breaks, err := s.Breaks(t.Context(), th, []Proved{{Obligation: proof.Obligation{Name: "RecovererTrustsLock"}}})
	require.NoError(t, err)
	require.NotEmpty(t, breaks)
	assert.Equal(t, "ActingIsNamed", breaks[0].Clause)
	require.NotNil(t, breaks[0].Counterexample, breaks[0].Unshown)
	assert.Len(t, breaks[0].Counterexample.States, 2)
}
