package manifest_test

import (
	"os"
	"path/filepath"
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

// What TLC saw of a model stands as long as nothing changes that the model leads to.
func TestARecordIsOfWhatAModelLeadsTo(t *testing.T) {
	const module = `---- MODULE M ----
(* What it is: Spec *)
EXTENDS Naturals
CONSTANT Wide \* a comment
ASSUME Enough == 2 > 1
VARIABLE x
Helper == "Other"
Young(n) == Wide /\ n < Grace
Grace == 3
Spec == x = Helper /\ ~Young(0)  \* and so on
Other == Wide
THEOREM Spec => Other
====
`
	hash := func(module, wide string) string {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "M.tla"), []byte(module), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "M.cfg"), []byte("SPECIFICATION Spec\nCONSTANTS\n  Wide = "+wide+"\n"), 0o600))
		hashes, err := manifest.NewSources(dir).Hashes(manifest.Row{Module: "M", Config: "M.cfg"})
		require.NoError(t, err)
		require.Len(t, hashes, 2)
		return hashes["M.tla"]
	}
	for _, c := range []struct {
		old, new    string
		wide, other bool // whether it changes what a model is that has Wide, and that has not
	}{
		{"(* What it is: Spec *)", "(* Something\n   else *)", false, false},
		{`\* a comment`, "", false, false},
		{`  \* and so on`, "\n", false, false},
		{"Other == Wide", "Other == ~Wide", false, false},
		{"=> Other", "=> []Other", false, false},
		{"2 > 1", "3 > 1", true, true},
		{"EXTENDS Naturals", "EXTENDS Integers", true, true},
		{"VARIABLE x", "VARIABLES x, y", true, true},
		{`"Other"`, `"other"`, true, true},
		{"~Young(0)", "~Young(1)", true, true},
		{"x = Helper", "\n  x = Helper", true, true}, // where a line begins can mean something
		{"n < Grace", "n > Grace", true, false},
		{"Grace == 3", "Grace == 4", true, false},
		{`Wide /\ n`, `Wide \/ n`, true, true},
		{`Wide /\ n < Grace`, `Wide /\ n < Grace => TRUE`, true, true},
	} {
		changed := strings.Replace(module, c.old, c.new, 1)
		require.NotEqual(t, module, changed)
		assert.Equal(t, c.wide, hash(module, "TRUE") != hash(changed, "TRUE"), "%s, Wide", c.new)
		assert.Equal(t, c.other, hash(module, "FALSE") != hash(changed, "FALSE"), "%s, not Wide", c.new)
	}
}
