package fuzz

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/linearizability"
	"github.com/afterlock/afterlock/model/conformance/trace"
)

// addFiles adds files as they are; at least one has to be there.
func addFiles(f *testing.F, pattern string) {
	paths, err := filepath.Glob(pattern)
	require.NoError(f, err)
	require.NotEmpty(f, paths)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(content)
	}
}

// FuzzTrace: whatever is in the file, it is refused, or it is a trace that is written
// as it is read, and judged.
func FuzzTrace(f *testing.F) {
	addFiles(f, "../model/conformance/trace/testdata/*.txt")
	validator := trace.Validator{Budget: 1000}
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := trace.Decode("fuzz", content)
		if err != nil {
			return
		}
		_, err = validator.Validate(t.Context(), got)
		require.NoError(t, err)
		var text, twice bytes.Buffer
		require.NoError(t, got.WriteText(&text))
		again, err := trace.Decode("fuzz", text.Bytes())
		require.NoError(t, err, text.String())
		require.NoError(t, again.WriteText(&twice)) // what an event does not have is not in the text
		require.Equal(t, text.String(), twice.String())
	})
}

// FuzzHistory: the same of histories.
func FuzzHistory(f *testing.F) {
	addFiles(f, "../linearizability/testdata/*-*")
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := linearizability.Parse(bytes.NewReader(text))
		if err != nil {
			return
		}
		var once, twice bytes.Buffer
		_, err = h.WriteTo(&once)
		require.NoError(t, err)
		again, err := linearizability.Parse(bytes.NewReader(once.Bytes()))
		require.NoError(t, err, once.String())
		_, err = again.WriteTo(&twice)
		require.NoError(t, err)
		require.Equal(t, once.String(), twice.String())
		j, err := linearizability.Judge(t.Context(), h, time.Millisecond)
		if errors.Is(err, linearizability.ErrAssumption) {
			return
		}
		require.NoError(t, err)
		require.NoError(t, j.WritePicture(&once))
	})
}

// FuzzSchedule: a schedule is refused, or is printed as it is read. One of kind crash
// is played, or refused, whatever it says.
func FuzzSchedule(f *testing.F) {
	for _, text := range []string{
		"conformance:Gate:0.2f1", "crash:a=1@weak/A5.B2c.A!/-/1~0", "box:kill/x/1/+2", "box:x/A4!EIO", "soft:x", "counterexample:M@together",
		"crash:delete=1x1x1@weak/A13/3", "crash:add=1x1,recover=1x2,kill=1,batch=1@ordered/A5.B2!EIO.A!/-/1~0", "crash:delete=1x1x1,named=1/perDirectory/A",
		"conformance:Gate:0.2f/", // was printed as an old one that cannot be read
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schedule.Parse(text)
		if err != nil {
			return
		}
		again, err := schedule.Parse(s.String())
		require.NoError(t, err, s.String())
		assert.Equal(t, s, again)
		if s.Kind == "crash" {
			var out bytes.Buffer
			_, _ = Replay(t.Context(), text, &out)
		}
	})
}
