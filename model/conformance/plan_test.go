//go:build linux

package conformance

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// The walks of a plan are walks, and together they go over every edge.
func TestPlanCoversEveryEdge(t *testing.T) {
	for _, name := range []string{"GateOrphan", "GateSwept", "GateRefinementTwo"} {
		g, err := model.Find(name).Graph(context.Background(), model.Options{})
		require.NoError(t, err)
		covered := map[[2]int]bool{}
		steps, walks := 0, 0
		p := newPlanner(g)
		for w := p.next(); w != nil; w = p.next() {
			walks++
			at := 0
			for _, k := range w {
				if int(k) >= len(g.Out(at)) {
					t.Fatalf("%s: state %d has no edge %d", name, at, k)
				}
				covered[[2]int{at, int(k)}] = true
				at = int(g.Out(at)[k].To)
				steps++
			}
		}
		assert.Len(t, covered, g.Edges(), name)
		t.Logf("%s: %d edges in %d walks of %d steps, %.1f steps an edge", name, g.Edges(), walks, steps, float64(steps)/float64(g.Edges()))
	}
}
