package gate

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
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
	if all[0].isBuiltIn() {
		t.Skip("skipped, because no solver is installed: " + InstallSolvers)
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
			for _, f := range proof.MustFails {
				if f.Action == "" || f == proof.MustFails[0] {
					wrong, err := s.MustFail(t.Context(), f)
					assert.True(t, err != nil || wrong != "")
				}
			}
		})
	}
}

// An answer is of its own question, whatever happens to others in the same process.
func TestAnAnswerIsOfItsQuestion(t *testing.T) {
	awk, err := exec.LookPath("awk")
	if err != nil {
		t.Skip("skipped, because there is no awk to play the solver")
	}
	const questions = 50
	for name, c := range map[string]struct {
		script string
		wrong  int // questions without their own answer; the others are asked again
	}{
		"answers":                     {``, 0},
		"ends before the last ones":   {`$1 % 4 == 3 { ends = 1 }`, 0},
		"ends with an error":          {`$1 % 4 == 3 { ends = 1; status = 1 }`, 0},
		"prints garbage for one":      {`$1 == 4 { print "garbage" }`, 1},
		"prints garbage after one":    {`$1 == 4 { late = "garbage" }`, 1},
		"ends within one":             {`$1 == 4 { print "garbage"; exit }`, 1},
		"does not answer one":         {`$1 == 4 { next }`, 1},
		"passes over one":             {`$1 == 4 { getline; next }`, 1},
		"answers one twice":           {`$1 == 4 { print; print "answered 4" }`, 1},
		"has no end of the last line": {`$1 % 4 == 3 { printf "%s", $0; exit }`, 0},
		"says more than it was asked": {`END { print "answered 99" }`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			script := c.script + `
				/^[0-9]/ { print }
				/echo/   { gsub(/[()]|echo /, ""); print; if (late) print late; late = ""; if (ends) exit status }`
			s := Solver{Name: "z3", path: awk, args: []string{script}}
			var all []proof.Obligation
			for i := range questions {
				all = append(all, proof.Obligation{Text: strconv.Itoa(i) + "\n"})
			}
			told := 0
			answers, err := s.Prove(t.Context(), all, func(Proved) { told++ })
			require.NoError(t, err)
			require.Len(t, answers, questions)
			wrong := 0
			for i, a := range answers {
				if a.Answer == strconv.Itoa(i) {
					continue
				}
				wrong++
				_, err := strconv.Atoi(a.Answer)
				assert.Error(t, err, "question %d has the answer of another one", i)
			}
			assert.Equal(t, questions, told)
			if c.wrong >= 0 {
				assert.Equal(t, c.wrong, wrong)
			} else {
				assert.Positive(t, wrong)
			}
		})
	}
}

// What is not decided as a whole is asked in parts; a part without an answer is named, and
// is no proof.
func TestWhatIsNotDecidedIsAskedInParts(t *testing.T) {
	awk, err := exec.LookPath("awk")
	if err != nil {
		t.Skip("skipped, because there is no awk to play the solver")
	}
	const script = `
		/^\(assert \(not/ { answer = length($0) > 2000 ? whole : part }
		/^\(check-sat/ { print found ? found : answer }
		/^\(echo/ { gsub(/[()]|echo /, ""); print }`
	all := proof.Ours().Obligations()
	action, property := all[1:2], all[len(all)-1:]
	for name, c := range map[string]struct {
		of                       []proof.Obligation
		whole, part, found, want string
	}{
		"proved":                   {action, "unsat", "unknown", "unknown", "unsat"},
		"refuted":                  {action, "sat", "unsat", "unsat", "sat"},
		"an error":                 {action, "error", "unsat", "unsat", "error"},
		"proved in parts":          {action, "unknown", "unsat", "unknown", "unsat"},
		"a part is refuted":        {action, "unknown", "sat", "unknown", "sat"},
		"an error about a part":    {action, "unknown", "error", "unsat", "error"},
		"a part has an example":    {action, "unknown", "unknown", "sat", "sat"},
		"a part is not decided":    {action, "unknown", "unknown", "timeout", "timeout"},
		"a property is not":        {property, "unknown", "unknown", "unknown", "unknown"},
		"a property is refuted":    {property, "unknown", "unknown", "sat", "sat"},
		"nor with another attempt": {property, "timeout", "timeout", "unknown", "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Solver{Name: "z3", path: awk, args: []string{script, "whole=" + c.whole, "part=" + c.part}, more: []string{"found=" + c.found}}
			answers, err := s.Decide(t.Context(), c.of, func(Proved) {})
			require.NoError(t, err)
			require.Len(t, answers, 1)
			assert.Equal(t, c.want, answers[0].Answer)
			if c.want == "timeout" { // and which one is named
				assert.Contains(t, answers[0].Name, c.of[0].Name+" ")
			}
		})
	}
}

// A shard to which no theory falls has its proofs that must fail.
func TestAShardBeyondTheTheories(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped with -short, because it asks a solver")
	}
	shard := Shard{len(proof.Theories()) + 1, len(proof.Theories()) + 1}
	its := part(shard, proof.MustFails)
	require.NotEmpty(t, its)
	result, err := runProof(t.Context(), Env{Config: Config{Shard: shard}, Log: slog.New(slog.DiscardHandler), Progress: func(string) {}})
	require.NoError(t, err)
	assert.Empty(t, result.Problems)
	for _, c := range result.Counts {
		assert.GreaterOrEqual(t, c.N, c.Min, c.Name)
		if c.Name == "without a rule as they must be" {
			assert.EqualValues(t, len(its), c.N)
		}
	}
	assert.Contains(t, result.Ran, "0 questions")
}

func TestPartsOfAShardAreTheWhole(t *testing.T) {
	all := []int{1, 2, 3, 4, 5}
	assert.Equal(t, all, part(Shard{}, all))
	assert.Equal(t, []int{2, 4}, part(Shard{2, 2}, all))
	assert.Empty(t, part(Shard{6, 6}, all))
	for n := 1; n < 7; n++ {
		var its []int
		for i := 1; i <= n; i++ {
			its = append(its, part(Shard{i, n}, all)...)
		}
		assert.ElementsMatch(t, all, its, n)
	}
}

func TestWhatHasNoAnswerIsUndecided(t *testing.T) {
	r := Result{Problems: []string{"A of ours is not proved: cvc5 says timeout; see", "whether B can be taken: cvc5 says unknown, not sat"}}
	r.open()
	assert.Equal(t, Result{Problems: []string{}, Undecided: true, Because: "A of ours is not proved: cvc5 says timeout; see; whether B can be taken: cvc5 says unknown, not sat"}, r)
	r.Problems = []string{"C is not proved: z3 says sat", "D: z3 says (error unknown)"}
	r.open()
	assert.Len(t, r.Problems, 2)
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
