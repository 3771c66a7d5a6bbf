package model_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// requireBehaviour wants a counterexample of the protocol to be a behaviour: its
// steps are steps of Next, and only the last state of a safety property breaks the
// property.
func requireBehaviour(t *testing.T, m *model.Model, c *model.Counterexample) {
	t.Helper()
	b, ok := c.Behaviour()
	require.True(t, ok)
	formula := map[string]string{"LiveSpec": model.Spec, "MixedLiveSpec": model.MixedSpec}[m.Formula]
	if formula == "" {
		formula = m.Formula
	}
	p, err := model.NewProtocol(*m.Protocol, formula)
	require.NoError(t, err)
	at := b.Init
	assert.Equal(t, p.Init(), at)
	for i, step := range append(b.Steps[:len(b.Steps):len(b.Steps)], b.Cycle...) {
		assert.Contains(t, p.Steps(at), step, "step %d", i+1)
		if !b.Endless {
			holds, err := m.Holds(m.Properties[0], at, step.State)
			require.NoError(t, err)
			assert.Equal(t, i < len(b.Steps)-1, holds, "step %d", i+1)
		}
		at = step.State
	}
	if len(b.Cycle) > 0 {
		begin := b.Init
		if len(b.Steps) > 0 {
			begin = b.Steps[len(b.Steps)-1].State
		}
		assert.Equal(t, begin, at, "it comes back")
	}
	if b.Endless {
		holds, err := m.Holds("GoneInTheEnd", at, at)
		require.NoError(t, err)
		assert.False(t, holds)
	}
}
