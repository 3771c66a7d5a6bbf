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

// The same, of what it leads to by another module, an instance, an argument, or the .cfg.
func TestARecordIsOfWhatAModelLeadsToElsewhere(t *testing.T) {
	files := map[string]string{
		"M.tla": `---- MODULE M ----
EXTENDS Naturals,
        Ground
CONSTANT Wide, Proc, Op(_)
VARIABLE x
Within == INSTANCE Inner WITH
  y <- Passed(x), On <- Yes
Passed(n) == n
Yes == TRUE
Chosen == SelectSeq(<<0>>, More)
More(n) == n + 1
Step == x' \in Chosen
Stride == x' = x + Stretch
Stretch == 2
Double(n) == n * 2
Same == Permutations(Proc)
Spec == x = Lowest /\ [][Step]_x
Safe == Within!Low
====
`,
		"Ground.tla": "---- MODULE Ground ----\nLowest == 0\n====\n",
		"Inner.tla": `---- MODULE Inner ----
CONSTANT On
VARIABLE y
ASSUME Given == Bound > 0
Bound == 9
Low == On /\ y < Bound
Unused == 3
====
`,
		"M.cfg": "SPECIFICATION Spec\nINVARIANT Safe\nSYMMETRY Same\nCONSTANTS\n  Wide = FALSE\n  On = FALSE\n  Proc = {p1, p2}\n  Op <- Double\n  Step <- Stride\n",
	}
	hash := func(changed, text string) (map[string]string, error) {
		dir := t.TempDir()
		for name, content := range files {
			if name == changed {
				content = text
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		}
		return manifest.NewSources(dir).Hashes(manifest.Row{Module: "M", Config: "M.cfg"})
	}
	before, err := hash("", "")
	require.NoError(t, err)
	for _, c := range []struct {
		file, old, new string
		same           bool
	}{
		{"Inner.tla", "y < Bound", "y > Bound", false},
		{"Inner.tla", "== 9", "== 8", false},
		{"Inner.tla", "> 0", "> 1", false},
		{"Inner.tla", "== 3", "== 4", true},
		{"Ground.tla", "== 0", "== 1", false},
		{"M.tla", "Passed(n) == n", "Passed(n) == n + 1", false},
		{"M.tla", "y <- Passed(x)", "y <- x", false},
		{"M.tla", "Yes == TRUE", "Yes == FALSE", false},
		{"M.tla", "<<0>>, More", "<<0>>, Passed", false},
		{"M.tla", "n + 1", "n + 2", false},
		{"M.tla", "Stretch == 2", "Stretch == 3", false},
		{"M.tla", "n * 2", "n * 3", false},
		{"M.tla", "Permutations(Proc)", "{}", false},
		{"M.cfg", "Step <- Stride", "Step <- More", false},
		{"M.cfg", "p1, p2", "p1", false},
		{"M.cfg", "SYMMETRY Same\n", "", false},
	} {
		changed := strings.Replace(files[c.file], c.old, c.new, 1)
		require.NotEqual(t, files[c.file], changed)
		after, err := hash(c.file, changed)
		require.NoError(t, err)
		assert.Equal(t, c.same, before[c.file] == after[c.file], "%s: %s", c.file, c.new)
	}
	// What cannot be told apart is refused.
	for _, c := range []string{
		"Unread == 4\n  Lowest == 1\n", // a definition in the lines of another one
		"Unread == 4 Lowest == 1\n",
		"(* c *) Lowest == 1\n",
		"Lowest == (* c *) /\\ TRUE\n",
		"INSTANCE Inner WITH y <- 1\n",
		"THEOREM Lowest\n  Unread == 4\n",
		"a ++ b == 1\n", "Twice(F(_), n) == F(F(n))\n",
	} {
		text := "---- MODULE Ground ----\n" + c + "====\n"
		_, err := hash("Ground.tla", text)
		assert.Error(t, err, c)
	}
}
