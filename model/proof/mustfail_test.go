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
	hash, err := Hash()
	require.NoError(t, err)
	assert.Equal(t, hash, r.Questions, "stale: afterlock proof --record %s", RecordFile)
	assert.Len(t, r.Needed, len(Theories()))
	for _, th := range Theories() {
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
	for _, th := range Theories() {
		for _, c := range th.Clauses {
			without := "stated for itself"
			if !c.Stated {
				without = "`" + r.Needed[th.Name][c.Name] + "`"
			}
			row := fmt.Sprintf("| `%s` | %s | %s |", c.Name, c.Says, without)
			if th.Name != "ours" {
				if slices.ContainsFunc(invariant, func(o Clause) bool { return o.Says == c.Says }) {
					continue
				}
				row = fmt.Sprintf("| `%s` %s", th.Name, row)
			}
			assert.Contains(t, string(text), row)
			if os.Getenv("AFTERLOCK_WRITE") != "" {
				fmt.Println(row)
			}
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
