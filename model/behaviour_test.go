package model_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// Every counterexample of the protocol is a behaviour: its steps are steps of
// Next, and only the last state of a safety property breaks the property.
func TestCounterexamplesAreBehaviours(t *testing.T) {
	behaviours := 0
	for _, m := range model.Models() {
		if m.Kind != "mustfail" || m.Protocol == nil {
			continue
		}
		r, err := m.Refute(context.Background(), model.Options{})
		if m.Properties[0] == "GoneInTheEnd" {
			r, err = m.Check(context.Background(), model.Options{}, false)
		}
		require.NoError(t, err)
		require.NotNil(t, r.Counterexample, m.Name)
		b, ok := r.Counterexample.Behaviour()
		require.True(t, ok)
		behaviours++
		formula := map[string]string{"LiveSpec": model.Spec, "MixedLiveSpec": model.MixedSpec}[m.Formula]
		if formula == "" {
			formula = m.Formula
		}
		p, err := model.NewProtocol(*m.Protocol, formula)
		require.NoError(t, err, m.Name)
		at := b.Init
		assert.Equal(t, p.Init(), at)
		for i, step := range append(b.Steps[:len(b.Steps):len(b.Steps)], b.Cycle...) {
			assert.Contains(t, p.Steps(at), step, "%s, step %d", m.Name, i+1)
			if !b.Endless {
				holds, err := m.Holds(m.Properties[0], at, step.State)
				require.NoError(t, err)
				assert.Equal(t, i < len(b.Steps)-1, holds, "%s, step %d", m.Name, i+1)
			}
			at = step.State
		}
		if len(b.Cycle) > 0 {
			begin := b.Init
			if len(b.Steps) > 0 {
				begin = b.Steps[len(b.Steps)-1].State
			}
			assert.Equal(t, begin, at, "%s comes back", m.Name)
		}
		if b.Endless {
			holds, err := m.Holds("GoneInTheEnd", at, at)
			require.NoError(t, err)
			assert.False(t, holds, m.Name)
		}
	}
	assert.Equal(t, 43, behaviours)
}
