package model

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// RequireFairLasso wants the counterexample to GoneInTheEnd to be one, step by step:
// each of its steps is a step of the model, it goes round, it is fair, and it does not
// stay where it should.
func RequireFairLasso(t *testing.T, m *Model, c *Counterexample) {
	t.Helper()
	require.NotNil(t, c.Loop)
	sys := m.system().(live)
	x := sys.newExpander()
	goOn := func(from Key, action, text string) Step {
		steps, _ := x.expand(from, nil)
		at := slices.IndexFunc(steps, func(s Step) bool {
			return sys.actions()[s.Action].String() == action && sys.text(s.To) == text
		})
		require.GreaterOrEqual(t, at, 0, "%s is no step", action)
		return steps[at]
	}
	keys, taken := []Key{sys.initial()}, []uint16{0}
	for _, s := range c.States[1:] {
		step := goOn(keys[len(keys)-1], s.Action, s.Text)
		keys, taken = append(keys, step.To), append(taken, step.Action)
	}
	round := keys[len(keys)-1:]
	of, all, strong := sys.fair()
	satisfied := uint64(0)
	if *c.Loop > 0 {
		round = keys[*c.Loop-1:]
		back := goOn(keys[len(keys)-1], c.LoopBy, c.States[*c.Loop-1].Text)
		require.Equal(t, round[0], back.To)
		for i := range round[1:] {
			satisfied |= of(round[i], taken[*c.Loop+i], round[i+1])
		}
		satisfied |= of(round[len(round)-1], back.Action, back.To)
	}
	sometimes, always := uint64(0), ^uint64(0)
	for _, k := range round {
		enabled := uint64(0)
		steps, _ := x.expand(k, nil)
		for _, s := range steps {
			if s.To != k {
				enabled |= of(k, s.Action, s.To)
			}
		}
		sometimes |= enabled
		always &= enabled
	}
	assert.Zero(t, all&^strong&always&^satisfied, "not weakly fair")
	assert.Zero(t, strong&sometimes&^satisfied, "not strongly fair")
	assert.True(t, slices.ContainsFunc(sys.goals(), func(goal func(Key) bool) bool {
		return slices.ContainsFunc(round, func(k Key) bool { return !goal(k) })
	}), "the goal holds all along")
}
