package powerloss_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/crashsim/powerloss"
	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/bench/world"
)

func TestMain(m *testing.M) { proc.Main(m) }

// ext4 skips the test where there is none.
func ext4(t *testing.T) {
	t.Helper()
	f, err := powerloss.FileSystemOf("ext4")
	require.NoError(t, err)
	if err := f.Available(); errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("skipped: %v", err)
	}
}

func run(t *testing.T, ctx context.Context, dir string, jobs ...powerloss.Job) ([]powerloss.Result, error) {
	t.Helper()
	results, err := powerloss.Run(ctx, powerloss.Options{Dir: dir, Seed: 1, Jobs: jobs})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skipf("skipped: %v", err)
	}
	return results, err
}

func TestPowerLossTakesNothingThatWasAcknowledged(t *testing.T) {
	ext4(t)
	dir := t.TempDir()
	results, err := run(t, context.Background(), dir,
		powerloss.Job{Program: "delete-durable", FileSystem: "ext4", Noise: "fsync", Budget: 30},
		powerloss.Job{Program: "in-place", FileSystem: "ext4", Noise: "fsync", Budget: 20},
		powerloss.Job{Program: "delete-durable", FileSystem: "ext4", Without: "Sync.SyncData", Budget: 10},
		powerloss.Job{Program: "delete", FileSystem: "ext4", Noise: "fsync", Budget: 9, Parts: 2, Part: 0},
		powerloss.Job{Program: "delete", FileSystem: "ext4", Noise: "fsync", Budget: 9, Parts: 2, Part: 1},
		powerloss.Job{Program: "in-place", FileSystem: "ext4", Noise: "fsync", Shutdown: "nologflush", Until: world.ReachableWhole},
		powerloss.Job{Program: "delete-durable", FileSystem: "ext4", Noise: "fsync", Shutdown: "logflush", Every: 9},
		powerloss.Job{Program: "delete-durable", FileSystem: "ext4", Shutdown: "default", Until: powerloss.Replayed},
		powerloss.Job{Program: "written-over", FileSystem: "ext4", Budget: 9},
		powerloss.Job{Program: "written-over", FileSystem: "ext4", Budget: 9, Torn: true})
	require.NoError(t, err)
	for i, claims := range [][]world.Claim{nil, {world.ReachableWhole}, {world.RepliesTrue}, nil, nil, {world.ReachableWhole}, nil, {powerloss.Replayed}, nil, {world.WholeOrFlagged}} {
		r := results[i]
		require.Empty(t, r.Err)
		var found []world.Claim
		for _, f := range r.Findings {
			found = append(found, f.Claim)
		}
		assert.Equal(t, claims, found, "%v: %v", r.Job, r.Findings)
	}
	c := results[0].Counts
	assert.Equal(t, 30, c.States)
	assert.Positive(t, c.Acknowledged)
	assert.Positive(t, c.Leaks)
	assert.Equal(t, []string{"Sync.SyncData"}, results[0].Fsyncs)
	assert.Equal(t, []int{5, 4}, []int{results[3].Counts.States, results[4].Counts.States}, "each part of the states")

	assert.Positive(t, results[6].Counts.Shutdowns)

	for _, r := range []powerloss.Result{results[1], results[5], results[7], results[9]} {
		var said strings.Builder
		findings, err := powerloss.Replay(context.Background(), powerloss.Options{Dir: dir, Replay: r.Findings[0].Repeat}, &said)
		require.NoError(t, err)
		assert.Positive(t, findings)
		assert.Contains(t, said.String(), "power is lost")
		assert.Contains(t, said.String(), r.Findings[0].Finding.String())
	}
	for wrong, says := range map[string]string{
		"powerloss:delete@ext4/A2":                    "expected powerloss:PROGRAM@FILESYSTEM/DNc/LOST",
		"powerloss:nothing@ext4/D2c":                  `no program "nothing"`,
		"powerloss:delete,x=1@ext4/D9c":               `cannot read "x=1"`,
		"powerloss:delete,torn=x@ext4/D9c":            `cannot read "torn=x"`,
		"powerloss:delete,noise=x@ext4/D9c":           `cannot read "noise=x"`,
		"powerloss:delete,shutdown=x@ext4/D9c":        `cannot read "shutdown=x"`,
		"powerloss:delete,shutdown=default@ext4/D99c": "the program makes fewer changes than 99",
		"powerloss:delete@ext4/D9000c":                "entries that count",
		results[1].Findings[0].Repeat[:strings.LastIndexByte(results[1].Findings[0].Repeat, '/')] + "/1": "entry 1 cannot be lost: the flush",
	} {
		_, err := powerloss.Replay(context.Background(), powerloss.Options{Dir: dir, Replay: wrong}, io.Discard)
		assert.ErrorContains(t, err, says, wrong)
	}
}

func TestNothingStaysWhenPowerLossIsInterrupted(t *testing.T) {
	ext4(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cancelled := make(chan struct{})
	go func() {
		defer close(cancelled)
		for len(devices(t, dir)) == 0 && ctx.Err() == nil { // it is on its way
		}
		cancel()
	}()
	_, err := run(t, ctx, dir, powerloss.Job{Program: "delete", FileSystem: "ext4", Noise: "fsync", Budget: 100_000})
	cancel()
	<-cancelled
	assert.ErrorIs(t, err, context.Canceled)
	assert.Empty(t, devices(t, dir))
	table, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	assert.NotContains(t, string(table), dir)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// devices are the loop devices of power losses.
func devices(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	assert.NoError(t, err)
	for _, file := range files {
		if name, err := os.ReadFile(file); err == nil && strings.Contains(string(name), dir) {
			found = append(found, string(name))
		}
	}
	return found
}

// What a short run does is what its table says, in each process that has a part of it.
func TestJobsAreThoseOfTheTable(t *testing.T) {
	jobs, states := powerloss.Jobs("ext4", 200), 0
	for _, j := range jobs {
		states += j.Budget
	}
	assert.Equal(t, 200, states, "%v", jobs)
	for range 20 {
		assert.Equal(t, jobs, powerloss.Jobs("ext4", 200))
	}
}
