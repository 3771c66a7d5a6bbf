//go:build linux

package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// conforms runs a model and wants every edge executed, and no difference.
func conforms(t *testing.T, o Options) {
	t.Helper()
	r, err := Run(context.Background(), o)
	require.NoError(t, err)
	if r.Skipped != "" {
		t.Skip("skipped, because " + r.Skipped)
	}
	if d := r.Divergence; d != nil {
		t.Fatalf("%s\nafterlock replay %s", d, d.Schedule)
	}
	assert.Equal(t, r.Edges, r.EdgesRun)
	assert.GreaterOrEqual(t, r.Compared, r.EdgesRun)
	assert.Equal(t, o.Every, r.Compared >= r.Steps)
	assert.Positive(t, r.Refused)
	assert.Positive(t, r.Elsewhere)
	assert.Positive(t, r.Crashes)
	assert.Positive(t, r.Injected)
	entries, err := os.ReadDir(o.Dir)
	require.NoError(t, err)
	assert.Empty(t, entries, "the scratch directories are gone")
	t.Logf("%d edges, %d steps, %.0f a second", r.Edges, r.Steps, float64(r.Steps)/r.Elapsed.Seconds())
}

func TestEveryEdgeIsExecuted(t *testing.T) {
	names := []string{"GateOrphanFallback", "GateSwept"}
	if !testing.Short() {
		names = append(names, "GateInspect") // afterlock verify runs the others
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			conforms(t, Options{Model: name, Dir: scratch(t), Every: name == "GateSwept"})
		})
	}
}

// A schedule says in every detail what happens, so that what it prints is the
// same each time but for the names that are drawn.
func TestReplayRepeats(t *testing.T) {
	const text = "conformance:GateSwept/0.2.2.2.3.4.4.3.4.4.4.4.3.4.4.4.2.3.3.0!1"
	var first, second strings.Builder
	require.NoError(t, Replay(context.Background(), text, t.TempDir(), &first))
	require.NoError(t, Replay(context.Background(), text, t.TempDir(), &second))
	assert.Contains(t, first.String(), "OpenDirectory temp-dir-<i1> fails: EMFILE")
	assert.Equal(t, first.String(), second.String())
}

func TestReplayRefusesWhatIsNoSchedule(t *testing.T) {
	for text, want := range map[string]string{
		"conformance:Nothing/1":         "no model",
		"conformance:GateWhat/1":        "no model of the protocol",
		"conformance:GateSwept/x":       "step 1",
		"conformance:GateSwept/A":       "no edge A",
		"conformance:GateSwept/0.2!-1":  "step 2",
		"conformance:GateSwept/0.2.900": "no edge 900",
		"conformance:GateSwept@x/0":     "no place of upstream",
		"conformance:GateSwept@apart/0": "no model of a mixed fleet",
		"conformance:GateTogether@x/9":  "no place of upstream",
		"box:GateSwept/0":               "expected conformance:MODEL/EDGES",
	} {
		var out strings.Builder
		assert.ErrorContains(t, Replay(context.Background(), text, t.TempDir(), &out), want, text)
	}
}

// A failure of the machine is one wherever it comes from, and is not put down to
// the code.
func TestFailuresOfTheMachine(t *testing.T) {
	full := environmentError{unix.ENOSPC}
	for _, err := range []error{full, fmt.Errorf("r1 ends: %w", full), errors.Join(errors.New("r1 ends"), full)} {
		assert.True(t, isEnvironment(err), "%v", err)
	}
	assert.False(t, isEnvironment(unix.ENOSPC), "it may be one that was injected")
	assert.False(t, isEnvironment(nil))
}

// Who may not mount, as root of a container, may in a user namespace; if there
// cannot be one, the model is skipped and nothing is claimed.
func TestModelsWithMountsRunInANamespaceOrSayWhyNot(t *testing.T) {
	dir := scratch(t)
	r, err := runInNamespace(t.Context(), Options{Model: "GateMount", Dir: dir}, unix.EPERM)
	require.NoError(t, err)
	if r.Skipped == "" {
		assert.Positive(t, r.Edges)
		assert.Equal(t, r.Edges, r.EdgesRun)
		assert.Nil(t, r.Divergence)
	} else {
		assert.Contains(t, r.Skipped, "this user may not mount (operation not permitted), nor ")
		assert.Zero(t, r.EdgesRun)
		t.Log(r.Skipped)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)

	inNamespace = true // there is no second try
	defer func() { inNamespace = false }()
	r, err = runInNamespace(t.Context(), Options{Model: "GateMount", Dir: dir}, unix.EPERM)
	require.NoError(t, err)
	assert.Equal(t, "this user may not mount (operation not permitted)", r.Skipped)

	_, err = Run(t.Context(), Options{Model: "GateMount", Dir: dir + "/none"})
	assert.ErrorIs(t, err, os.ErrNotExist, "that is another matter")
}
