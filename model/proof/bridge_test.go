package proof

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

func TestFormulasAreTheModel(t *testing.T) {
	for _, m := range model.Models() {
		if m.Protocol == nil || m.Kind == "large" || m.Kind=="mixed" {
			continue
		}
		b, err := NewBridge(m)
		if !assert.NoError(t, err, m.Name) {
			continue
		}
		g, err := m.Graph(t.Context(), model.Options{})
		require.NoError(t, err)
		for k := range g.States() {
			s, _ := g.State(k)
			b.Compare(s)
		}
		t.Log(m.Name, b.States, b.Edges, g.Edges(), b.Bounded, b.Clauses, b.holds)
		for _, d := range b.Differences {
			t.Error(m.Name, d)
			break
		}
	}
}
