package gate

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

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

func TestASolverThatFailsProvesNothing(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("skipped, because there is no sh to play the solver")
	}
	for name, script := range map[string]string{
		"does not know":         "echo unknown",
		"says an error":         "echo '(error \"line 1\")'; echo unsat; echo unsat; exit 1",
		"says nothing":          "true",
		"is killed":             "echo unsat; kill -9 $$",
		"proves what it is not": "echo unsat",
	} {
		t.Run(name, func(t *testing.T) {
			s := Solver{Name: "z3", path: sh, args: []string{"-c", script}}
			answers, err := s.Prove(t.Context(), proof.Ours().Obligations()[:1], func(Proved) {})
			assert.True(t, err != nil || answers[0].Answer != "unsat" || name == "proves what it is not")
			wrong, err := s.MustFail(t.Context(), proof.MustFails[0])
			assert.True(t, err != nil || wrong != "")
		})
	}
}

// The first error ends the other questions, and so does the caller; neither is an answer.
func TestAnErrorEndsTheOtherQuestions(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("skipped, because there is no sh to play the solver")
	}
	asked := filepath.Join(t.TempDir(), "asked")
	s := Solver{Name: "z3", path: sh, args: []string{"-c", `echo asked >> "$0"; exit 1`, asked}}
	_, err = s.Prove(t.Context(), proof.Ours().Obligations(), func(Proved) { t.Error("answered") })
	require.ErrorContains(t, err, "z3: exit status 1")
	text, err := os.ReadFile(asked)
	require.NoError(t, err)
	assert.LessOrEqual(t, bytes.Count(text, []byte("\n")), runtime.GOMAXPROCS(0))

	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		ctx, cancel := context.WithCancel(t.Context())
		if cause == context.DeadlineExceeded {
			ctx, cancel = context.WithDeadline(ctx, time.Now())
		}
		cancel()
		_, err = s.MustFail(ctx, proof.MustFails[0])
		require.ErrorIs(t, err, cause)
		_, err = s.Ask(ctx, "")
		require.ErrorIs(t, err, cause)
	}
}

// What the solver cannot tell is not recorded as if it had.
func TestUsesAreWhatTheSolverSays(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("skipped, because there is no sh to play the solver")
	}
	s := Solver{Name: "z3", path: sh, args: []string{"-c", "echo unknown"}}
	_, err = s.Uses(t.Context(), proof.Refinement(), "OwnerHolds")
	assert.ErrorContains(t, err, "z3 says unknown of ")
}

func TestProofsThatMustFail(t *testing.T) {
	s := solver(t)
	for _, f := range proof.MustFails {
		t.Run(f.Model, func(t *testing.T) {
			t.Parallel() // as in the stage
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
