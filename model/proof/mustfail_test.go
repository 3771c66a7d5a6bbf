package proof

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What solvers said of each clause is of the formulas as they are.
func TestRecordedIsOfTheseFormulas(t *testing.T) {
	r, err := ReadRecorded()
	require.NoError(t, err)
	assert.Len(t, r, len(Theories()))
	for _, th := range Theories() {
		assert.Equal(t, th.Hash(), r[th.Name].Questions, "stale: afterlock proof --theory %s --record %s", th.Name, RecordFile)
		assert.Len(t, r[th.Name].Used, len(th.Clauses), th.Name)
		for _, c := range th.Clauses {
			used, known := r[th.Name].Used[c.Name]
			assert.True(t, known, c.Name)
			assert.Equal(t, c.Stated, len(used) == 0, "%s: all is proved without it, or not, and it is stated for itself, or not", c.Name)
		}
	}
}

// The tables of the page are those of the proof.
func TestReadmeHasTheProof(t *testing.T) {
	text, err := os.ReadFile("../../spec/README.md")
	require.NoError(t, err)
	r, err := ReadRecorded()
	require.NoError(t, err)
	var rows []Clause
	for _, of := range []struct {
		theory  string
		clauses []Clause
	}{{"ours", invariant}, {"refinement", refinement}, {"powerloss", durable}} {
		for _, c := range of.clauses {
			c.Says += " | " + r[of.theory].uses(c.Name)
			rows = append(rows, c)
		}
	}
	for _, c := range rows {
		row := fmt.Sprintf("| `%s` | %s |", c.Name, c.Says)
		assert.Contains(t, string(text), row)
		if os.Getenv("AFTERLOCK_WRITE") != "" {
			fmt.Println(row)
		}
	}
	for _, f := range MustFails {
		row := fmt.Sprintf("| %s | `%s` | `%s` | `%s` |", f.Rule, f.Model, f.Action, f.Clause)
		if f.Action == "" {
			row = fmt.Sprintf("| %s | `%s` | none | safety is kept: %s |", f.Rule, f.Model, f.Kept)
		}
		assert.Contains(t, string(text), row)
		if os.Getenv("AFTERLOCK_WRITE") != "" {
			fmt.Println(row)
		}
	}
}

// uses is a cell: what is not proved without a clause, and of which actions.
func (r Recorded) uses(clause string) string {
	var cells, order []string
	by := map[string]string{}
	for _, used := range r.Used[clause] {
		action, of, is := strings.Cut(used, " ")
		if !is {
			action, of = "", used
		}
		if _, known := by[of]; !known {
			order = append(order, of)
		} else if action != "" {
			by[of] += ", "
		}
		by[of] += action
	}
	for _, of := range order {
		if by[of] == "" {
			cells = append(cells, fmt.Sprintf("`%s`", of))
		} else {
			cells = append(cells, fmt.Sprintf("`%s` (%s)", of, by[of]))
		}
	}
	if cells == nil {
		return "stated for itself"
	}
	return strings.Join(cells, ", ")
}
