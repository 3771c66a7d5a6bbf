package crashsim_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim"
)

func TestReplayPrintsEveryCallAndWhatWasLost(t *testing.T) {
	var out bytes.Buffer
	// Without any fsync, under the weak model: the unlink of f0 survives, and
	// the rename of its layer does not.
	findings, err := crashsim.Replay(t.Context(), "crash:delete=1x1x1@weak/A13/3", &out)
	require.NoError(t, err)
	assert.Positive(t, findings)
	for _, want := range []string{
		"A  Save incomplete /meta/d0", "A  LinkLock lock-00000000000000000000000000410001",
		"power is lost after 6 changes", "lost: 3, rename v0-0 to 0-v0-0", "on disk: /layers/v0-0",
		"FINDING reachable-whole: layers/v0-0", "R  OpenDirectory", "R  RemoveLock",
	} {
		assert.Contains(t, out.String(), want)
	}
}

func TestReplayRefusesWhatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "expected KIND",
		"crash:x":                            "expected crash:SCENARIO@MODEL",
		"box:x@weak/A":                       "expected crash:SCENARIO@MODEL",
		"crash:x@weak/A":                     "cannot read",
		"crash:delete=1x1x1@strong/A":        "no durability model",
		"crash:delete=1x1x1@weak/Z":          "cannot go on",
		"crash:delete=1x1x1@weak/A*":         "step 1, A*, is none",
		"crash:delete=1x1x1@weak/A2!ENOENT":  "step 1, A2!ENOENT, is none",
		"crash:delete=1x1x1@weak/3":          "step 1, 3, is none",
		"crash:delete=1x1x1@weak/A999999999": "more than",
		"crash:delete=1x1x1@weak/B":          "cannot go on",
		"crash:delete=1x1x1@weak/A!":         "cannot go on",
		"crash:delete=1x1x1@ordered/A9/0":    "cannot be lost without others",
		"crash:delete=1x1x1@weak/A9/77":      "no change 77",
		"crash:delete=1x1x1@weak/A9/-/99~-":  "not 99",
		"crash:delete=1x1x1,fault=x@weak/A":  "cannot read",
		"crash:delete=9x9x9@weak/A":          "processes",
		"crash:delete=1x1x1,sync=x@weak/A":   "no fsync",
	} {
		_, err := crashsim.Replay(t.Context(), text, io.Discard)
		assert.ErrorContains(t, err, want, "%q", text)
	}
}
