//go:build linux

package conformance

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/bench/proc"
	"github.com/afterlock/afterlock/internal/bench/schedule"
	"github.com/afterlock/afterlock/internal/testfs"
	"github.com/afterlock/afterlock/model"
)

func TestMain(m *testing.M) { proc.Main(m) }

// scratch: ext4 is slow at making inodes.
var scratch = testfs.InMemory

func TestEveryCounterexampleDoesItsDamage(t *testing.T) {
	dir := scratch(t)
	require.Len(t, Counterexamples(), 35)
	for _, name := range Counterexamples() {
		t.Run(name, func(t *testing.T) {
			var table strings.Builder
			r, err := ReplayCounterexample(context.Background(), CounterexampleOptions{Model: name, Dir: dir, Runs: 2, Out: &table})
			require.NoError(t, err)
			if r.Skipped != "" {
				t.Skip("skipped, because " + r.Skipped)
			}
			require.Empty(t, r.Difference, table.String())
			assert.Equal(t, r.Runs, r.Damaged)
			assert.NotEmpty(t, r.Damage)
			assert.Empty(t, r.Ours.Lost)
			assert.Equal(t, 2*r.Runs, r.Ours.Survived, "as it is, and with creators that go on first")
			assert.Equal(t, r.Steps > 0, r.Ours.Followed > 0)
			t.Logf("ours: %d followed, refused:\n%s", r.Ours.Followed, strings.Join(r.Ours.Refused, "\n"))
			t.Logf("%s in %v\n%s", r.Damage, r.Elapsed, table.String())
		})
	}
}

// The race that this project began with, and its two half repairs.
func TestUpstreamLosesLiveDataEveryTime(t *testing.T) {
	names := []string{"UpstreamAsShipped"}
	if !testing.Short() {
		names = append(names, "UpstreamCreatorRechecks", "UpstreamRecovererRechecks", "UpstreamCommit")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			r, err := ReplayCounterexample(context.Background(), CounterexampleOptions{Model: name, Dir: t.TempDir(), Runs: 20})
			require.NoError(t, err)
			require.Empty(t, r.Difference)
			assert.Equal(t, 20, r.Damaged)
			assert.True(t, r.Passed(), r)
		})
	}
}

// What does the damage is the fault: without it the same steps lead elsewhere.
func TestWithoutItsFaultNoCounterexample(t *testing.T) {
	dir := scratch(t)
	tried := 0
	for _, name := range Counterexamples() {
		m := model.Find(name)
		// Of these, the fault is upstream's code, or no step but a lack of some.
		if len(m.Protocol.Upstream) > 0 || len(m.Protocol.Mounted) > 0 && mayMount(t.TempDir()) != nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			b, err := counterexampleOf(context.Background(), m)
			require.NoError(t, err)
			s, done, err := open(dir, m)
			require.NoError(t, err)
			for _, p := range s.procs[1:] {
				for i := range p.mutants {
					p.mutants[i].kernel = nil
				}
			}
			_, err = (&demonstration{scheduler: s, m: m, Behaviour: b}).run()
			assert.Error(t, err)
			t.Log(err)
			require.NoError(t, done())
		})
		tried++
	}
	assert.GreaterOrEqual(t, tried, 24)
}

// What says that ours lost nothing says that others do.
func TestWhatIsLostIsNoticed(t *testing.T) {
	for name, want := range map[string]string{
		"LeaseRunsOut":      "the live instance of c1",
		"Rule8NoTable":      "the live instance of c1",
		"Rule2Creator":      "the live instance of c1",
		"MovesFileByFile":   "v1 has 0 of 1 files",
		"Rule10OneNotFound": `c1 was told "missing" about v1`,
		"Rule5KeepsLock":    "c1 does not come to an end",
	} {
		t.Run(name, func(t *testing.T) {
			m := model.Find(name)
			b, err := counterexampleOf(context.Background(), m)
			require.NoError(t, err)
			r, err := survive(m, *m.Protocol, b, CounterexampleOptions{Dir: scratch(t), Runs: 1})
			require.NoError(t, err)
			assert.Contains(t, r.Lost, want)
			assert.Less(t, r.Survived, 2)
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
		models = append(models, model.Find("UpstreamAsShipped"), model.Find("UpstreamCommit"), model.Find("UpstreamFailedCleanup"),
			&model.Model{Name: "killed", Protocol: config(func(c *model.Config) {
				c.Repaired, c.Victim, c.MaxCrashes = c.Upstream, nil, 1
			})})
	}
	for _, m := range models {
		t.Run(m.Name, func(t *testing.T) {
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
			assert.GreaterOrEqual(t, r.Compared, r.Steps)
			assert.Equal(t, m.Protocol.MaxCrashes > 0, r.Crashes > 0)
			t.Logf("%d edges, %d steps, %d kills, %.0f steps a second", r.Edges, r.Steps, r.Crashes, float64(r.Steps)/r.Elapsed.Seconds())
		})
	}
}

// So are the fixtures of our own mutants, beyond their counterexamples: every
// edge of a whole graph.
func TestTheFixturesAreTheMutants(t *testing.T) {
	names := []string{"Rule10OneNotFound", "Rule3LinkReplaces"}
	if !testing.Short() {
		names = append(names, "FailedCreateKeepsLock", "ListsOnChange", "DataBeforeLock")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			r, err := Run(context.Background(), Options{Model: name, Dir: scratch(t)})
			require.NoError(t, err)
			if d := r.Divergence; d != nil {
				t.Fatalf("%s\nafterlock replay %s", d, d.Schedule)
			}
			assert.Equal(t, r.Edges, r.EdgesRun)
			assert.Positive(t, r.Refused)
			t.Logf("%d edges, %d steps", r.Edges, r.Steps)
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
