package manifest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/spec/internal/manifest"
)

func TestCanonicalText(t *testing.T) {
	state, err := manifest.ParseState("/\\ pc = (r2 :> \"idle\" @@ c1 :> \"named\")\n" +
		"/\\ holder = <<None, c1,\n  None>>\n/\\ data = {i2, i1}\n/\\ log = << >>\n" +
		"/\\ cache = [lock |-> TRUE, files |-> 2, at |-> {<<1, {}>>}]")
	require.NoError(t, err)
	assert.Equal(t, strings.Join([]string{
		`cache=["at"->{<<1,{}>>},"files"->2,"lock"->TRUE]`,
		`data={i1,i2}`,
		`holder=<<None,c1,None>>`,
		`log=<<>>`,
		`pc=[c1->"named",r2->"idle"]`,
	}, "\n"), state.String())
	for _, broken := range []string{"x", "/\\ x = ", "/\\ x = {1", "/\\ x = <<1>> 2", "/\\ x = (a :> )", `/\ x = "a`} {
		_, err := manifest.ParseState(broken)
		assert.Error(t, err, broken)
	}
}

// A dump in another order, with repeated lines, has the same digest; another
// label, state or edge has not.
func TestDigestIsOfTheGraph(t *testing.T) {
	graph := []string{
		`1 [label="/\\ x = 1",style = filled]`,
		`2 [label="/\\ x = {b, a}",tooltip="/\\ x = {b, a}"];`,
		`1 -> 2 [label="Go(p)",color="black"];`,
		`2 -> 2 [label="Stay",color="black"];`,
	}
	digest := func(lines ...string) manifest.Digest {
		d, _, err := manifest.DigestGraph(strings.NewReader(strings.Join(lines, "\n")))
		require.NoError(t, err)
		return d
	}
	want := digest(graph...)
	assert.Equal(t, 2, want.Count)
	assert.Equal(t, want, digest(graph[3], graph[1], graph[2], graph[0], graph[2], graph[1]))
	assert.NotEqual(t, want.Edges, digest(graph[0], graph[1], graph[2]).Edges)
	assert.NotEqual(t, want.Edges, digest(graph[0], graph[1], graph[3], strings.Replace(graph[2], "Go", "Come", 1)).Edges)
	assert.NotEqual(t, want.States, digest(graph[0], strings.Replace(graph[1], "b", "c", 1), graph[2], graph[3]).States)

	_, actions, err := manifest.DigestGraph(strings.NewReader(strings.Join(graph, "\n")))
	require.NoError(t, err)
	assert.Equal(t, map[string]bool{"Go": true, "Stay": true}, actions)
}
