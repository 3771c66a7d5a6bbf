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

func TestBothFormsHoldTheSame(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	for _, path := range paths {
		trace, err := Open(path)
		require.NoError(t, err)
		again, err := Decode(path, trace.Encode())
		require.NoError(t, err)
		assert.Equal(t, trace, again, path)
		var text bytes.Buffer
		require.NoError(t, trace.WriteText(&text))
		again, err = Decode(path, text.Bytes())
		require.NoError(t, err)
		assert.Equal(t, trace, again, path)
	}
}

// Each case is a file that is no trace, and what is said about it.
func TestFilesThatAreNoTraces(t *testing.T) {
	good, err := Open("testdata/tree-ok.txt")
	require.NoError(t, err)
	binary := good.Encode()
	change := func(at int, to byte) []byte {
		changed := bytes.Clone(binary)
		changed[at] = to
		return changed
	}
	for _, tt := range []struct {
		name    string
		content []byte
		wants   string
	}{
		{"empty", nil, "not a trace"},
		{"something else", []byte("#!/bin/sh\n"), "not a trace"},
		{"header cut off", binary[:100], "truncated: 100 bytes"},
		{"events cut off", binary[:len(binary)-70], "truncated: "},
		{"no room", change(capacityAt, 0), "room for 0 events"},
		{"many files", change(filesAt, 200), "200 files in a tree"},
		{"a bit of an event", change(headerBytes+3*recordBytes+9, 0x77), "event 3 has a wrong checksum"},
		{"a checksum", change(headerBytes+3*recordBytes, 0x77), "event 3 has a wrong checksum"},
		{"text without files", []byte(textMagic + "0 p1 gone\n"), "no line says how many files"},
		{"text with many files", []byte(textMagic + "files 9\n"), "line 2: a tree has 1 to 3 files, not 9"},
		{"not an event", []byte(textMagic + "files 2\n\nhello\n"), "line 4: an event is"},
		{"not a process", []byte(textMagic + "files 2\n0 x call List\n"), `line 3: "x": not a process`},
		{"not a kind", []byte(textMagic + "files 2\n0 p1 says List\n"), `"says": not a kind of event`},
		{"not a call", []byte(textMagic + "files 2\n0 p1 call Open\n"), `"Open": not a call of the protocol`},
		{"not a name", []byte(textMagic + "files 2\n0 p1 call List lock\n"), `"lock": neither a name nor an error`},
		{"not an id", []byte(textMagic + "files 2\n0 p1 call List lock-xy\n"), `not an id`},
		{"not a field", []byte(textMagic + "files 2\n0 p1 call List color=3\n"), `color=3: no such field`},
		{"tickets go back", []byte(textMagic + "files 2\n1 p1 gone\n0 p2 gone\n"), "ticket 0 comes after ticket 1"},
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
