package trace

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every fixture is a trace to be read, in pairs: what is a behaviour, and what
// is none. A line "# wants:" is in the refusal.
func TestFixtures(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(paths), 20)
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".txt")
		t.Run(name, func(t *testing.T) {
			pair, isOK := strings.CutSuffix(name, "-ok")
			if isOK {
				assert.FileExists(t, filepath.Join("testdata", pair+"-bad.txt"))
			} else {
				assert.FileExists(t, filepath.Join("testdata", strings.TrimSuffix(name, "-bad")+"-ok.txt"))
			}
			trace, err := Open(path)
			require.NoError(t, err)
			report, err := Validate(t.Context(), trace)
			require.NoError(t, err)
			text := strings.Join(report.Problems, "\n")
			if isOK {
				require.Equal(t, Valid, report.Verdict, "%s %v", text, report.Because)
				return
			}
			require.Equal(t, Invalid, report.Verdict, report.Because)
			t.Log("\n" + text)
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			wants := 0
			for line := range strings.Lines(string(content)) {
				if want, ok := strings.CutPrefix(line, "# wants: "); ok {
					assert.Contains(t, text, strings.TrimSpace(want))
					wants++
				}
			}
			assert.Positive(t, wants)
		})
	}
}

func TestAFileHoldsTheTrace(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	for _, path := range paths {
		trace, err := Open(path)
		require.NoError(t, err)
		trace.Holes, trace.Dropped = 3, 7
		var text bytes.Buffer
		require.NoError(t, trace.WriteText(&text))
		again, err := Decode(path, text.Bytes())
		require.NoError(t, err)
		assert.Equal(t, trace, again, path)
	}
}

// Each case is a file that is no trace, and what is said about it.
func TestFilesThatAreNoTraces(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content []byte
		wants   string
	}{
		{"empty", nil, "not a trace"},
		{"something else", []byte("#!/bin/sh\n"), "not a trace"},
		{"text without files", []byte(magic + "0 p1 gone\n"), "no line says how many files"},
		{"text with many files", []byte(magic + "files 9\n"), "line 2: a tree has 1 to 3 files, not 9"},
		{"not an event", []byte(magic + "files 2\n\nhello\n"), "line 4: an event is"},
		{"not a process", []byte(magic + "files 2\n0 x call List\n"), `line 3: "x": not a process`},
		{"not a kind", []byte(magic + "files 2\n0 p1 says List\n"), `"says": not a kind of event`},
		{"not a call", []byte(magic + "files 2\n0 p1 call Open\n"), `"Open": not a call of the protocol`},
		{"not a name", []byte(magic + "files 2\n0 p1 call List lock\n"), `"lock": neither a name nor an error`},
		{"not an id", []byte(magic + "files 2\n0 p1 call List lock-xy\n"), `not an id`},
		{"not a field", []byte(magic + "files 2\n0 p1 call List color=3\n"), `color=3: no such field`},
		{"tickets go back", []byte(magic + "files 2\n1 p1 gone\n0 p2 gone\n"), "ticket 0 comes after ticket 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			require.NoError(t, os.WriteFile(path, tt.content, 0o600))
			_, err := Open(path)
			require.ErrorContains(t, err, tt.wants)
			assert.ErrorContains(t, err, path+": ")
		})
	}
}
