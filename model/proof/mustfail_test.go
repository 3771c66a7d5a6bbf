package proof

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What solvers said of each clause is of the formulas as they are.
func TestRecordedIsOfTheseFormulas(t *testing.T) {
	r, err := ReadRecorded()
	require.NoError(t, err)
	for _, th := range Theories() {
		if r.Questions[th.Name] == "" && th.Name != "ours" {
			continue
		}
		assert.Equal(t, th.Hash(), r.Questions[th.Name], "%s is stale: afterlock proof --record %s", th.Name, RecordFile)
		assert.Len(t, r.Needed[th.Name], len(th.Clauses), th.Name)
		for _, c := range th.Clauses {
			without, known := r.Needed[th.Name][c.Name]
			assert.True(t, known, c.Name)
			assert.Equal(t, c.Stated, without == "", "%s: all is proved without it, or not, and it is stated for itself, or not", c.Name)
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
	of := map[string]string{} // the last column of a row
	for _, th := range Theories() {
		for _, c := range th.Clauses {
			without := "stated for itself"
			if !c.Stated {
				without = "`" + r.Needed[th.Name][c.Name] + "`"
			}
			row := fmt.Sprintf("| `%s` | %s |", c.Name, c.Says)
			if th.Name != "ours" {
				if slices.ContainsFunc(invariant, func(o Clause) bool { return o.Says == c.Says }) {
					continue
				}
				if without = "`" + th.Name + "`: " + without; r.Questions[th.Name] == "" {
					without = "`" + th.Name + "`"
				}
			}
			if of[row] != "" {
				without = of[row] + ", " + without
			} else {
				rows = append(rows, row)
			}
			of[row] = without
		}
	}
	for _, row := range rows {
		row += " " + of[row] + " |"
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
