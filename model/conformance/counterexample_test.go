//go:build linux

package conformance

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/model"
)

func TestMain(m *testing.M) { proc.Main(m) }

// scratch: ext4 is slow at making inodes.
var scratch = testfs.InMemory

// Among them the race that this project began with, and its two half repairs.
func TestEveryCounterexampleDoesItsDamage(t *testing.T) {
	dir, damaged, runs := scratch(t), 0, 10
	if testing.Short() {
		runs = 2
	}
	require.GreaterOrEqual(t, len(Counterexamples()), 38)
	for _, name := range Counterexamples() {
		t.Run(name, func(t *testing.T) {
			var table strings.Builder
			r, err := ReplayCounterexample(context.Background(), CounterexampleOptions{Model: name, Dir: dir, Runs: runs, Out: &table})
			require.NoError(t, err)
			if r.Skipped != "" {
				t.Skip("skipped, because " + r.Skipped)
			}
			require.Empty(t, r.Difference, table.String())
			if !r.Mutant {
				damaged++
				assert.Equal(t, r.Runs, r.Damaged)
				assert.NotEmpty(t, r.Damage)
			}
			assert.True(t, r.Passed(), r)
			assert.Equal(t, 2*r.Runs, r.Ours.Survived, "as it is, and with creators that go on first")
			assert.Equal(t, r.Steps > 0, r.Ours.Followed > 0)
			t.Logf("%s in %v\n%s\nours: %d followed, refused:\n%s", r.Damage, r.Elapsed, table.String(), r.Ours.Followed, strings.Join(r.Ours.Refused, "\n"))
		})
	}
	assert.GreaterOrEqual(t, damaged, 10, "by upstream's code, or because we do not heed it")
}

// A spoiler does one thing that the library does not.
type spoiler struct {
	kernel.Kernel
	takes, eats, denies, keeps bool
}

func (k spoiler) TakeLock(fd int) error {
	if k.takes {
		return nil
	}
	return k.Kernel.TakeLock(fd)
}

func (k spoiler) StageDeletion(victim string, root int, entry string) error {
	if k.denies {
		return unix.ENOENT
	}
	if k.eats {
		_ = os.Remove(victim + "/1")
	}
	return k.Kernel.StageDeletion(victim, root, entry)
}

func (k spoiler) StatName(dir int, name string) (kernel.Attributes, error) {
	a, err := k.Kernel.StatName(dir, name)
	switch {
	case k.denies && dir == unix.AT_FDCWD:
		err = unix.ENOENT // of the victim
	case k.denies && strings.HasPrefix(name, dataPrefix):
		err = nil // the instance is there
	}
	return a, err
}

func (k spoiler) Close(fd int) error {
	if k.keeps {
		return nil
	}
	return k.Kernel.Close(fd)
}

// What says that ours lost nothing says that others do.
func TestWhatIsLostIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		model string
		spoiler
		want string
	}{
		{"LeaseRunsOut", spoiler{takes: true}, "the live instance of c1"},
		{"MovesFileByFile", spoiler{eats: true}, "v1 has 0 of 1 files"},
		{"Rule10OneNotFound", spoiler{denies: true}, `c1 was told "missing" about v1`},
		{"Rule5KeepsLock", spoiler{keeps: true}, "c1 does not come to an end"},
	} {
		t.Run(tt.model, func(t *testing.T) {
			m := model.Find(tt.model)
			b, err := counterexampleOf(t.Context(), m)
			require.NoError(t, err)
			ours := *m.Protocol
			ours.Swap = nil
			s, done, err := open(scratch(t), &model.Model{Formula: model.Spec, Protocol: &ours})
			require.NoError(t, err)
			defer func() { assert.NoError(t, done()) }()
			for _, p := range s.procs[1:] {
				p.mutant = func(k kernel.Kernel) kernel.Kernel { tt.Kernel = k; return tt.spoiler }
			}
			v := &survivor{scheduler: s, catchUp: true}
			v.schedule, err = steps(m.Protocol, m.Actions())
			require.NoError(t, err)
			lost, err := v.run(b)
			require.NoError(t, err)
			assert.Contains(t, lost, tt.want)
		})
	}
}

// The model of upstream is what its code does: every step of a whole graph is
// executed by the fixture, in forked processes, alone and beside ours.
func TestTheFixtureIsTheModelOfUpstream(t *testing.T) {
	config := func(change func(c *model.Config)) *model.Config {
		c := *model.Find("UpstreamAsShipped").Protocol
		change(&c)
		return &c
	}
	models := []*model.Model{
		{Name: "repaired", Properties: []string{"LiveKept", "ReachableWhole"}, Protocol: config(func(c *model.Config) {
			c.Repaired = c.Upstream
		})},
		{Name: "our creator", Properties: []string{"LiveKept", "LiveIsLocked", "ReachableWhole", "RepliesTrue"}, Protocol: config(func(c *model.Config) {
			c.Upstream = []string{"r1"}
		})},
	}
	if !testing.Short() {
		models = append(models, model.Find("UpstreamCommit"), model.Find("UpstreamFailedCleanup"),
			&model.Model{Name: "killed", Protocol: config(func(c *model.Config) {
				c.Repaired, c.Victim, c.MaxCrashes = c.Upstream, nil, 1
			})})
	}
	for _, m := range models {
		t.Run(m.Name, func(t *testing.T) {
			if len(m.Protocol.Upstream) == len(procNames(m.Protocol)) {
				t.Parallel() // beside ours, it would have our locks between fork and exec
			}
			if m.Kind == "" {
				m.Formula = model.MixedSpec
				checked, err := m.Check(context.Background(), model.Options{}, false)
				require.NoError(t, err)
				require.Equal(t, model.Holds, checked.Verdict)
			}
			r, err := execute(context.Background(), m, Options{Dir: scratch(t)})
			require.NoError(t, err)
			if d := r.Divergence; d != nil {
				t.Fatalf("%s\n%s", d, d.Schedule)
			}
			assert.Equal(t, r.Edges, r.EdgesRun)
			assert.GreaterOrEqual(t, r.Compared, r.EdgesRun)
			assert.Equal(t, m.Protocol.MaxCrashes > 0, r.Crashes > 0)
			t.Logf("%d edges, %d steps, %d kills, %.0f steps a second", r.Edges, r.Steps, r.Crashes, float64(r.Steps)/r.Elapsed.Seconds())
		})
	}
}

func TestReplayRefusesWhatIsNoCounterexample(t *testing.T) {
	for _, name := range []string{"", "Nothing", "Gate", "ProbeAdoption", "Rule15ClosesAnyway", "CleanerNoGrace", "StoreNoFlag", "WhatReapsAnything"} {
		_, err := ReplayCounterexample(context.Background(), CounterexampleOptions{Model: name, Dir: t.TempDir(), Runs: 1})
		var wrong *schedule.Error
		assert.ErrorAs(t, err, &wrong, name)
	}
	_, err := ReplayCounterexample(context.Background(), CounterexampleOptions{Model: "UpstreamAsShipped", Dir: t.TempDir() + "/none", Runs: 1})
	assert.ErrorIs(t, err, os.ErrNotExist)
}
