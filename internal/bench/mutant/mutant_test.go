package mutant

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	mutants, err := Parse("# a comment\nmutant: a\nof: rule 1\ndetector: d\nmessage: ^x$\nfile: f\n a\n\n-b\n+c\n\nmutant: b\nof: order\nequivalent: why\nfile: f\n-a\n")
	require.NoError(t, err)
	require.Len(t, mutants, 2)
	assert.Equal(t, Edit{File: "f", Old: "a\n\nb\n", New: "a\n\nc\n"}, mutants[0].Edits[0])
	assert.True(t, mutants[0].Message.MatchString("y\nx\nz"))
	assert.Equal(t, "why", mutants[1].Equivalent)
	for _, bad := range []string{
		" a\n", "of: a\n", "mutant: a\n", "mutant: a\nof\n", "mutant: a\nof: b\nwhat: c\n",
		"mutant: a\nof: b\ndetector: c\nmessage: (\nfile: f\n-a\n",
		"mutant: a\nof: b\ndetector: c\nfile: f\n-a\n",
		"mutant: a\nof: b\ndetector: c\nmessage: d\nequivalent: e\nfile: f\n-a\n",
		"mutant: a\nof: b\ndetector: c\nmessage: d\n",
		"mutant: a\nof: b\ndetector: c\nmessage: d\nfile: f\n a\n",
	} {
		_, err := Parse(bad)
		assert.Error(t, err, bad)
	}
}

// Every change of the catalogue can still be made.
func TestCatalogueApplies(t *testing.T) {
	all, err := Catalogue()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	for _, m := range all {
		changed := map[string]string{}
		for _, e := range m.Edits {
			source, ok := changed[e.File]
			if !ok {
				text, err := os.ReadFile(filepath.Join("../../..", e.File))
				require.NoError(t, err, m.Name)
				source = string(text)
			}
			changed[e.File], err = e.Apply(source)
			assert.NoError(t, err, m.Name)
		}
	}
}
