package proof

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// asks gives a text to z3.
func asks(t *testing.T, text string) []string {
	path, err := exec.LookPath("z3")
	if err != nil {
		t.Skip("skipped, because there is no z3: apt-get install z3")
	}
	cmd := exec.CommandContext(t.Context(), path, "-in")
	cmd.Stdin = strings.NewReader(text)
	out, err := cmd.Output()
	require.NoError(t, err, string(out))
	return strings.Fields(string(out))
}

// disagreements are the samples of which z3 and the evaluator do not say the same.
func disagreements(t *testing.T, edges int) (wrong int) {
	m := model.Find("GateTogetherOwner")
	g, err := m.Graph(t.Context(), model.Options{})
	require.NoError(t, err)
	text, samples, err := Samples(m, g, edges)
	require.NoError(t, err)
	for _, s := range samples {
		text += s.Text
	}
	answers := asks(t, text)
	require.Len(t, answers, 2*len(samples))
	for k := range samples {
		if answers[2*k] != "sat" || answers[2*k+1] != "unsat" {
			wrong++
		}
	}
	return wrong
}

func TestPrintedFormulasAreTheEvaluated(t *testing.T) {
	assert.Zero(t, disagreements(t, 50))
}

func TestAFaultInThePrinterIsNoticed(t *testing.T) {
	smtOps[opForall] = "exists"
	defer func() { smtOps[opForall] = "forall" }()
	assert.NotZero(t, disagreements(t, 20))
}

// A formula that stands in a text twice says the same both times: none of its variables
// has the name of another.
func TestAFormulaCanBePrintedTwice(t *testing.T) {
	assert.Equal(t, []string{"sat"}, asks(t, query(nil, nil, nil, or(and(oneName, no), oneName))))
}
