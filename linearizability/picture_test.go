package linearizability

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func itoa(n int) string { return strconv.Itoa(n) }

// A picture is what the page's script gets.
type picture struct {
	Partitions []struct {
		History []struct {
			ClientId, Start, End int
			Description          string
		}
		PartialLinearizations [][]struct {
			Index            int
			StateDescription string
		}
		Largest map[int]int
	}
	Annotations []struct {
		Tag, Description, Details string
	}
}

// requireWellFormed looks at the page without a browser: it is one document, and
// its data is JSON with the operations and what the script looks up in them.
func requireWellFormed(t *testing.T, page string, verdict Verdict) picture {
	t.Helper()
	require.True(t, strings.HasPrefix(page, "<!doctype html>"))
	require.Equal(t, "</html>", strings.TrimSpace(page[strings.LastIndex(page, "</body>")+len("</body>"):]))
	for _, tag := range []string{"html", "head", "style", "body", "script", "svg"} {
		require.Equal(t, 1, strings.Count(page, "</"+tag+">"), tag)
	}
	require.Contains(t, page, "<title>afterlock history: "+string(verdict)+"</title>")
	_, after, found := strings.Cut(page, "const data = ")
	require.True(t, found)
	var p picture
	require.NoError(t, json.NewDecoder(strings.NewReader(after)).Decode(&p))
	require.NotEmpty(t, p.Partitions)
	for _, part := range p.Partitions {
		require.NotEmpty(t, part.History)
		for _, op := range part.History {
			assert.NotEmpty(t, op.Description)
			assert.LessOrEqual(t, op.Start, op.End)
		}
		complete := false
		for _, partial := range part.PartialLinearizations {
			complete = complete || len(partial) == len(part.History)
			for _, step := range partial {
				require.Less(t, step.Index, len(part.History))
				assert.NotEmpty(t, step.StateDescription)
			}
		}
		assert.Equal(t, verdict == OK, complete, "a linearization of all operations, if there is one")
	}
	return p
}
