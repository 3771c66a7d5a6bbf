package stress

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each case plants one fault, and names what must be found.
func TestRaceFindsFaults(t *testing.T) {
	for _, tt := range []struct {
		name               string
		creator, recoverer string
		wants              string // in one of the problems
		lost, partial      bool
		either             bool // chance decides which of the two is seen first
		slow               bool
	}{
		{name: "a recoverer deletes live data", recoverer: "thief", either: true},
		{name: "a victim is not staged", creator: "liar", wants: "0-victim: no such file", lost: true},
		{name: "a commit leaves a file out", creator: "partial commit", wants: "29 of 30 files", partial: true},
		{name: "a commit puts nothing in place", creator: "loser", wants: "a committed tree is gone", partial: true},
		{name: "a creator leaks a descriptor", creator: "leaker", wants: "leaked descriptor", slow: true},
		{name: "a recoverer leaks a descriptor", recoverer: "leaker", wants: "leaked descriptor", slow: true},
		{name: "something is left in the root", creator: "litterer", wants: `left in the root after the last recovery: "litter"`, slow: true},
		{name: "an error that should not be", creator: "broken", wants: "bad message", slow: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.slow && testing.Short() {
				t.Skip("runs for its whole duration")
			}
			c := raceConfig(t, time.Minute) // a loss ends it
			if tt.slow {
				c.Duration = 500 * time.Millisecond
			}
			c.creatorKernel, c.recovererKernel = tt.creator, tt.recoverer
			report, err := Race(t.Context(), c)
			require.NoError(t, err)
			if tt.either {
				assert.Positive(t, report.Lost+report.Partial)
				assert.NotEmpty(t, report.Problems)
				return
			}
			assertProblem(t, report.Problems, tt.wants)
			assert.Equal(t, tt.lost, report.Lost > 0, "lost")
			assert.Equal(t, tt.partial, report.Partial > 0, "partial")
		})
	}
}

func TestRaceSaysThatTheEnvironmentFailed(t *testing.T) {
	c := raceConfig(t, time.Minute)
	c.creatorKernel = "full disk"
	report, err := Race(t.Context(), c)
	assert.ErrorIs(t, err, ErrEnvironment)
	assert.ErrorContains(t, err, "no space left")
	assert.Empty(t, report.Problems)

	c = raceConfig(t, time.Minute)
	c.Dir = filepath.Join(c.Dir, "missing")
	_, err = Race(t.Context(), c)
	assert.ErrorIs(t, err, ErrEnvironment)
}

func TestRaceEndsWhenTheContextIsDone(t *testing.T) {
	c := raceConfig(t, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c.Progress = func(string) { cancel() }
	_, err := Race(ctx, c)
	assert.ErrorIs(t, err, context.Canceled)
	assertEmpty(t, c.Dir)
}

func lifecycleConfig(t *testing.T, duration time.Duration) Config {
	tree := t.TempDir()
	for i := range 3 * layerCount {
		path := filepath.Join(tree, "dir"+strconv.Itoa(i%7), "file"+strconv.Itoa(i))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("x", i)), 0o644))
	}
	return Config{Dir: t.TempDir(), Tree: tree, Seed: 1, Duration: duration}
}

func TestLifecycleLosesNothing(t *testing.T) {
	c := lifecycleConfig(t, 500*time.Millisecond)
	report, err := Lifecycle(t.Context(), c)
	require.NoError(t, err)
	t.Logf("%+v", report)
	assert.Empty(t, report.Problems)
	assert.EqualValues(t, layerCount, report.Layers)
	assert.Greater(t, report.Files, int64(3*layerCount))
	assert.Positive(t, report.Deletions)
	assert.Positive(t, report.Additions)
	assert.Positive(t, report.Recoveries)
	assert.Positive(t, report.Recovered)
	assert.Positive(t, report.Checked)
	assert.GreaterOrEqual(t, report.Kills, int64(20))
	assertEmpty(t, c.Dir)
}

func TestLifecycleFindsFaults(t *testing.T) {
	for _, tt := range []struct {
		name               string
		creator, recoverer string
		wants              string // in one of the problems
		slow               bool
	}{
		{name: "a recoverer deletes live data", recoverer: "thief", wants: "lost: "},
		{name: "a victim is not staged", creator: "liar", wants: "its instance has 0 entries"},
		{name: "a commit leaves a file out", creator: "partial commit", wants: "is damaged", slow: true},
		{name: "a commit puts nothing in place", creator: "loser", wants: "is gone, and nobody deleted it", slow: true},
		{name: "a killed deletion leaves half a layer", creator: "nibbler", wants: "is damaged (chosen as a victim: true"},
		{name: "a removal follows links", creator: "careless", wants: "layer-00 is damaged (chosen as a victim: false", slow: true},
		{name: "a layer goes that nobody chose", creator: "neighbour", wants: "layer-00 is gone, and nobody deleted it", slow: true},
		{name: "a creator leaks a descriptor", creator: "leaker", wants: "leaked descriptor", slow: true},
		{name: "something is left in the root", creator: "litterer", wants: `left in the root after the last recovery: "litter"`, slow: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.slow && testing.Short() {
				t.Skip("runs for its whole duration")
			}
			c := lifecycleConfig(t, time.Minute) // a loss ends it
			if tt.slow {
				c.Duration = 500 * time.Millisecond
			}
			c.creatorKernel, c.recovererKernel = tt.creator, tt.recoverer
			var problems []string
			for range 10 { // a worker that is killed, or has just begun, shows no fault
				report, err := Lifecycle(t.Context(), c)
				require.NoError(t, err)
				problems = report.Problems
				if strings.Contains(strings.Join(problems, "\n"), tt.wants) {
					break
				}
			}
			assertProblem(t, problems, tt.wants)
		})
	}
}

func TestLifecycleSaysThatTheTreeIsTooSmall(t *testing.T) {
	c := Config{Dir: t.TempDir(), Tree: t.TempDir()}
	_, err := Lifecycle(t.Context(), c)
	assert.ErrorIs(t, err, ErrEnvironment)
	assert.ErrorContains(t, err, "has 0 files")
	assertEmpty(t, c.Dir)
}

// assertProblem wants one problem that contains the text.
func assertProblem(t *testing.T, problems []string, text string) {
	t.Helper()
	assert.Contains(t, strings.Join(problems, "\n"), text)
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries, "left in %s", dir)
}
