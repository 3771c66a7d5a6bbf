package linearizability

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every fixture has a twin that differs in as little as possible, and must get
// the other verdict.
func TestFixturesInPairs(t *testing.T) {
	good, err := filepath.Glob("testdata/*-ok")
	require.NoError(t, err)
	bad, err := filepath.Glob("testdata/*-bad")
	require.NoError(t, err)
	require.Len(t, bad, len(good))
	require.GreaterOrEqual(t, len(good), 20)
	for _, path := range good {
		name := strings.TrimSuffix(path, "-ok")
		t.Run(filepath.Base(name), func(t *testing.T) {
			for suffix, want := range map[string]Verdict{"-ok": OK, "-bad": Illegal} {
				h, err := Load(name + suffix)
				require.NoError(t, err)
				j, err := Judge(t.Context(), h, 0)
				require.NoError(t, err)
				assert.Equal(t, want, j.Verdict, "%s", j)
				t.Log(j)
				requirePicture(t, j)
			}
		})
	}
}

// requirePicture draws the picture and looks whether a browser could show it.
func requirePicture(t *testing.T, j *Judgement) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "picture.html")
	require.NoError(t, j.SavePicture(path))
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	requireWellFormed(t, string(page), j.Verdict)
}

// What is written is what is read.
func TestHistoriesRoundTrip(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"testdata/*-ok", "testdata/*-bad", "testdata/regressions/*"} {
		some, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, some)
		paths = append(paths, some...)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		h, err := Parse(bytes.NewReader(text))
		require.NoError(t, err)
		var again bytes.Buffer
		_, err = h.WriteTo(&again)
		require.NoError(t, err)
		assert.Equal(t, string(text), again.String(), path)
	}
}

// Each case is the lines after the first three of a history, which are good.
func TestBadRecordsAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, lines, want string }{
		{"no ticket", "x 1.1 list", `line 4: "x" is no ticket`},
		{"ticket twice", "1 1.1 list\n1 1.2 list", "line 5: ticket 1 after ticket 1"},
		{"order", "2 1.1 list\n1 1.2 list", "line 5: ticket 1 after ticket 2"},
		{"no client", "1 one list", `line 4: invalid client "one"`},
		{"two at a time", "1 1.1 list\n2 1.1 list", "line 5: client 1.1 has an operation already: list"},
		{"nothing to respond to", "1 1.1 : ok", "line 4: client 1.1 has no operation to respond to"},
		{"no such operation", "1 1.1 rename a b", `line 4: no operation "rename"`},
		{"no layer", "1 1.1 exists", "line 4: exists has 0 words after it"},
		{"outcome of another kind", "1 1.1 list\n2 1.1 : torn", `line 5: list has no outcome "torn"`},
		{"too many words", "1 1.1 exists a\n2 1.1 : ok yes no", `line 5: ok of exists expected nothing after it, and has "no"`},
		{"unknown what", "1 1.1 delete a\n2 1.1 : unknown b", `line 5: unknown of delete expected one of its layers after it`},
		{"the dead do nothing", "1 1 killed\n2 1.1 list", "2 1.1 list: at ticket 2 its process is dead"},
		{"killed twice", "1 1 killed\n2 1 killed", "ticket 2: process 1 is killed twice"},
		{"tree made twice", "1 1.1 create a t\n2 1.2 create b t", "2 1.2 create b t: there was a tree t before"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history")
			text := Magic + "\nlayout vfs\nstart empty\n" + tt.lines + "\n"
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			_, err := Check(t.Context(), path, &strings.Builder{}, "", 0)
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, path)
			assert.Equal(t, !strings.HasPrefix(tt.want, "line "), errors.Is(err, ErrAssumption))
		})
	}
	for text, want := range map[string]string{
		"":                                   "line 1: the file ends before the history begins",
		"afterlock trace 1\n":                "line 1: not a history",
		Magic + "\n":                         "line 2: the file ends before",
		Magic + "\nlayout zfs\n":             "line 2: expected layout vfs",
		Magic + "\nlayout vfs\nstart full\n": "line 3: expected start empty",
		Magic + strings.Repeat("x", 1<<21):   "line 1: bufio.Scanner: token too long",
	} {
		_, err := Parse(strings.NewReader(text))
		assert.ErrorContains(t, err, want)
	}
}

// Nobody says ok to what was not judged.
func TestNothingIsUndecided(t *testing.T) {
	for _, lines := range []string{"", "1 1.1 recover\n2 1.1 : ok all\n", "1 1.1 read a\n", "1 1.1 delete a\n2 1.1 : failed\n"} {
		h, err := Parse(strings.NewReader(Magic + "\nlayout vfs\nstart empty\n" + lines))
		require.NoError(t, err)
		j, err := Judge(t.Context(), h, 0)
		require.NoError(t, err)
		assert.Equal(t, Undecided, j.Verdict, lines)
		assert.NoError(t, j.SavePicture(filepath.Join(t.TempDir(), "picture.html")))
	}
}

// A layer that cannot be decided does not hide another one that is illegal.
func TestIllegalBeatsUndecided(t *testing.T) {
	h, err := Parse(strings.NewReader(undecidable() + "1002 2.1 read b\n1003 2.1 : torn\n"))
	require.NoError(t, err)
	j, err := Judge(t.Context(), h, 50*time.Millisecond)
	require.NoError(t, err)
	assert.Equal(t, Illegal, j.Verdict, "%s", j)
	assert.Contains(t, j.Where, "layer b")
}

// undecidable is a history that takes too long: many cut-off creates and deletions
// that nobody saw, and then a layer that is torn.
func undecidable() string {
	var b strings.Builder
	b.WriteString(Magic + "\nlayout vfs\nstart empty\n")
	n := 0
	for i := range 30 {
		n++
		b.WriteString(strings.NewReplacer("N", itoa(n), "I", itoa(i)).Replace("N 1.I create a a.I\n"))
		n++
		b.WriteString(strings.NewReplacer("N", itoa(n), "I", itoa(100+i)).Replace("N 1.I delete a\n"))
	}
	b.WriteString("1000 2.1 read a\n1001 2.1 : torn\n")
	return b.String()
}

// A history that takes too long is undecided, says where and how large, and has a
// picture all the same.
func TestTimeoutIsUndecidedAndDrawn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	require.NoError(t, os.WriteFile(path, []byte(undecidable()), 0o600))
	var out strings.Builder
	html := filepath.Join(t.TempDir(), "picture.html")
	verdict, err := Check(t.Context(), path, &out, html, 50*time.Millisecond)
	require.NoError(t, err)
	assert.Equal(t, Undecided, verdict)
	assert.Contains(t, out.String(), "undecided: 61 operations in 1 partitions; layer a (61 steps): not decided within 50ms")
	page, err := os.ReadFile(html)
	require.NoError(t, err)
	assert.Contains(t, string(page), "cut off")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = Check(ctx, path, &out, "", 0)
	assert.ErrorIs(t, err, context.Canceled)
}
