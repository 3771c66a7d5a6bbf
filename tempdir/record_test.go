//go:build linux

package tempdir_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/afterlock/afterlock/tempdir"
	"github.com/stretchr/testify/require"
)

// randomBytes are no record, whatever they are.
func randomBytes(n int) []byte {
	content := make([]byte, n)
	rand.Read(content)
	return content
}

// What a lock file says is for people. Garbage in it changes nothing.
func TestGarbageOwnerRecord(t *testing.T) {
	for name, record := range map[string][]byte{
		"empty":            {},
		"newline":          []byte("\n"),
		"no end of line":   []byte(`{"pid":1}`),
		"end of line late": []byte(`{"pid":1` + strings.Repeat(" ", 2000) + "}\n"),
		"1 MB of lines":    bytes.Repeat([]byte("\n"), 1<<20),
		"10 MB at random":  randomBytes(10 << 20),
		"binary":           append(randomBytes(500), '\n'),
		"not utf-8":        []byte("\xff\xfe\xfd\n"),
		"cut off":          []byte(`{"pid":1,"exe` + "\n"),
		"other JSON":       []byte("[1,2,3]\n"),
		"null":             []byte("null\n"),
		"wrong types":      []byte(`{"pid":"one","start":[],"boot":7}` + "\n"),
		"negative pid":     []byte(`{"pid":-1}` + "\n"),
		"no pid":           []byte(`{"boot":"x"}` + "\n"),
		"number too big":   []byte(`{"pid":1e999}` + "\n"),
		"fraction":         []byte(`{"pid":1.5}` + "\n"),
		"deep":             []byte(strings.Repeat("[", 1000) + "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			dir, err := s.root.Create()
			require.NoError(t, err)
			require.NoError(t, dir.StageDeletion(s.victim))
			s.leave(t, badID)
			for _, id := range []string{badID, dir.ID()} {
				require.NoError(t, os.WriteFile(s.lock(id), record, 0o600))
				require.Nil(t, instanceOf(t, s.root, id).Owner)
			}
			require.Equal(t, tempdir.Stale, instanceOf(t, s.root, badID).State)
			require.Equal(t, tempdir.Live, instanceOf(t, s.root, dir.ID()).State)
			report, err := s.neighboursUnharmed(t)
			require.NoError(t, err)
			require.Equal(t, tempdir.Recovered, outcomeOf(t, report, badID).Outcome)
			require.Equal(t, tempdir.Skipped, outcomeOf(t, report, dir.ID()).Outcome)
			require.NoError(t, dir.Close(background))
			s.end(t)
		})
	}
}

// A record can lie: it may name a process that lives for a stale instance, and
// one that does not for a live instance. Nothing is decided from it.
func TestOwnerRecordThatLies(t *testing.T) {
	s := newScene(t)
	lie := tempdir.Owner{PID: os.Getpid(), Executable: "\x1b[2J\x1b]0;title\a", Purpose: "two\nlines \u202e" + strings.Repeat("x", 300)}
	record, err := json.Marshal(lie)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.lock(staleID), append(record, '\n'), 0o600))
	seen := instanceOf(t, s.root, staleID)
	require.Equal(t, tempdir.Stale, seen.State)
	require.Equal(t, &lie, seen.Owner, "as it is: who prints it has to quote it")
	printed, err := json.Marshal(seen)
	require.NoError(t, err)
	require.NotContains(t, string(printed), "\x1b")

	require.NoError(t, os.WriteFile(s.lock(s.live.ID()), []byte(`{"pid":2147483647}`+"\n"), 0o600))
	require.Equal(t, 2147483647, instanceOf(t, s.root, s.live.ID()).Owner.PID)
	_, err = s.unharmed(t)
	require.NoError(t, err)
	s.end(t)
}

// Everything a caller can put into its own record comes back or is left out.
func TestPurposeOfAnySize(t *testing.T) {
	for _, purpose := range []string{"", "image removal", "\x1b[31m", "\xff", "two\nlines", strings.Repeat("long ", 1000)} {
		s := newScene(t, tempdir.Purpose(purpose))
		owner := instanceOf(t, s.root, s.live.ID()).Owner
		require.NotNil(t, owner)
		require.Equal(t, os.Getpid(), owner.PID)
		if len(purpose) > 1000 {
			require.Empty(t, owner.Purpose)
		} else {
			require.Equal(t, strings.ToValidUTF8(purpose, "\ufffd"), owner.Purpose)
		}
		_, err := s.unharmed(t)
		require.NoError(t, err)
		s.end(t)
	}
}
