package subjects

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A maintainer takes the patch from the document: it is the one that is checked.
func TestThePatchIsTheOneOfTheDocument(t *testing.T) {
	document, err := os.ReadFile("../../docs/UPSTREAM.md")
	require.NoError(t, err)
	for _, text := range []string{checkPath, checkPathUnix, checkPathWindows, recheck, createTemp} {
		assert.Contains(t, string(document), "```go\n"+strings.TrimPrefix(text, "\n")+"```\n")
	}
	for text, from := range map[string]string{recoverTempDirs: "// ", mountedBelow: "// ", checkPathTest: "func "} { // without what files begin with
		assert.Contains(t, string(document), "```go\n"+text[strings.Index(text, from):]+"```\n")
	}
	for _, text := range []string{callCreateTemp, callRecover, ifMounted} {
		assert.Contains(t, string(document), "`"+text+"`")
	}
}

func TestAPatchThatLosesFailsAndSoDoesABlindCheck(t *testing.T) {
	for name, c := range map[string]struct {
		variant    string
		loses      bool
		lost, runs int
		want       string
	}{
		"patched, nothing":       {"patched", false, 0, 20, ""},
		"patched, something":     {"patched", false, 1, 20, "schedule: patched loses 1 of 20: a file"},
		"half, always":           {"patched-creator", true, 20, 20, ""},
		"half, not always":       {"patched-creator", true, 19, 20, "schedule: patched-creator loses 19 of 20, all expected: the check sees too little"},
		"released loses, freely": {"released", false, 3, 20, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := &trial{Report: &Report{}}
			p.judge("schedule", c.variant, c.loses, c.lost, c.runs, "a file")
			assert.Equal(t, c.want, strings.Join(p.Problems, "; "))
		})
	}
}

func TestEditsOfThePatch(t *testing.T) {
	tree := smallTree(t)
	nowhere := atStart("small.go", "none", "")
	require.NoError(t, oneOf(nowhere, atEnd("small.go", "\nvar n  int\n"))(t.Context(), tree))
	require.NoError(t, formatted("small.go")(t.Context(), tree))
	require.True(t, strings.HasSuffix(tree.text(t), "\n\nvar n int\n"), tree.text(t))
	require.ErrorContains(t, oneOf(nowhere, nowhere)(t.Context(), tree), "has no function none")
	require.Error(t, atEnd("other.go", "")(t.Context(), tree))
}
