package model

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Over the first thousand states of a model, a Stepper takes the steps that the
// explorer takes, and names the same false guards.
func TestStepperTakesTheSameSteps(t *testing.T) {
	m, err := NewProtocol(Config{
		Creator: []string{"c1"}, Recoverer: []string{"r1", "r2"}, ID: []string{"i1"}, Victim: []string{"v1"}, Addition: []string{"a1"},
		Files: 2, TmpFile: true, LockKind: "ofd", MaxCrashes: 1, MaxFailures: 1,
	}, Spec)
	require.NoError(t, err)
	x := m.NewStepper()
	queue, seen := []State{m.Init()}, map[State]bool{m.Init(): true}
	for at := 0; at < len(queue) && at < 1000; at++ {
		s := queue[at]
		want := m.Steps(s)
		got := []Successor{}
		for a := range m.Actions() {
			for _, n := range x.Take(&s, uint16(a)) {
				got = append(got, Successor{uint16(a), n})
			}
			require.Equal(t, m.FalseGuard(s, uint16(a)), x.FalseGuard())
		}
		require.Equal(t, want, got)
		for _, n := range want {
			if !seen[n.State] {
				seen[n.State] = true
				queue = append(queue, n.State)
			}
		}
	}
	assert.Greater(t, len(queue), 1000)
	s := m.Init()
	assert.Zero(t, testing.AllocsPerRun(100, func() { x.Take(&s, 0) }))
}
