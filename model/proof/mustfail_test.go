package proof

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// explained are the theories of which the page says what each clause is used for; of the
// clauses of others it says what they are used for in the first theory that has them.
var explained = []string{"ours", "refinement", "powerloss"}

// What solvers said of each clause is of the formulas as they are.
func TestRecordedIsOfTheseFormulas(t *testing.T) {
	r, err := ReadRecorded()
	require.NoError(t, err)
	assert.Len(t, r, len(Theories()))
	for _, th := range Theories() {
		assert.Equal(t, th.Hash(), r[th.Name].Questions, "stale: afterlock proof --theory %s --record %s", th.Name, RecordFile)
		assert.Len(t, r[th.Name].Used, len(th.Clauses), th.Name)
		for _, solver := range []string{"z3", "cvc5"} {
			assert.Equal(t, len(th.Obligations()), r[th.Name].Proved[solver], "stale: afterlock proof --theory %s --solver %s --record %s", th.Name, solver, RecordFile)
		}
		for _, c := range th.Clauses {
			used, known := r[th.Name].Used[c.Name]
			assert.True(t, known, c.Name)
			if slices.Contains(explained, th.Name) {
				assert.Equal(t, c.Stated, len(used) == 0, "%s: all is proved without it, or not, and it is stated for itself, or not", c.Name)
			} else {
				assert.True(t, c.Stated || len(used) > 0, "%s: %s is proved without it", c.Name, th.Name)
			}
		}
	}
}

// The tables of the page are those of the proof.
func TestReadmeHasTheProof(t *testing.T) {
	text, err := os.ReadFile("../../spec/README.md")
	require.NoError(t, err)
	r, err := ReadRecorded()
	require.NoError(t, err)
	var rows []string
	cell, first := map[string]string{}, map[string]string{} // the next columns of a row
	for _, th := range Theories() {
		for _, c := range th.Clauses {
			row, says := fmt.Sprintf("| `%s` | %s |", c.Name, c.Says), r[th.Name].uses(c.Name)
			if !slices.Contains(explained, th.Name) {
				if slices.ContainsFunc(invariant, func(o Clause) bool { return o.Says == c.Says }) {
					continue
				}
				says = "`" + th.Name + "`"
			}
			if cell[row] == "" {
				rows = append(rows, row)
				cell[row] = says
				if !slices.Contains(explained, th.Name) {
					first[row] = " " + r[th.Name].uses(c.Name) + " |"
				}
			} else {
				cell[row] += ", " + says
			}
		}
	}
	for _, row := range rows {
		row += " " + cell[row] + " |" + first[row]
		assert.Contains(t, string(text), row)
		if os.Getenv("AFTERLOCK_WRITE") != "" {
			fmt.Println(row)
		}
	}
	assert.Equal(t, len(rows), rowsUnder("| clause | says |", string(text)), "clauses that are no more")
	assert.Equal(t, len(MustFails), rowsUnder("| rule, or design | model |", string(text)))
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

// Every rule is dropped in some proof, and where safety is kept without it the page says why.
func TestEveryRuleIsDroppedInAProof(t *testing.T) {
	for rule := 1; rule <= 15; rule++ {
		dropped := slices.ContainsFunc(MustFails, func(f MustFail) bool {
			of, _, _ := strings.Cut(f.Rule, ",")
			return of == strconv.Itoa(rule) && (f.Action != "" || f.Kept != "")
		})
		assert.True(t, dropped, "rule %d", rule)
	}
}

// rowsUnder counts the rows of the tables with that header.
func rowsUnder(header, text string) (rows int) {
	for _, table := range strings.Split(text, "\n"+header)[1:] {
		table, _, _ = strings.Cut(table, "\n\n")
		rows += strings.Count(table, "\n| ") - 1 // the line under the header
	}
	return rows
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
