package model_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// The models that the diagrams are drawn from. No other model of our processes has
// one more edge.
var drawn = []string{"GateInspect", "GateRefinement", "GateRefinementFallback", "GateReleaseRefinement", "GateSwept", "GateTogetherFallback", "GateOrphanFallback", "ProbeMountMet", "ProbeMissingVictim", "ProbeYoungOrphan", "ProbeYoungName", "ProbeParked", "ProbeParkedInVain", "ProbeAdoptionRace"}

// The diagrams of places in spec/README.md have every edge that our processes take
// in the graphs, and no other; a crash leads from everywhere to idle.
func TestReadmeHasTheDiagramOfPlaces(t *testing.T) {
	edges := map[string]map[string]map[string]bool{"owner": {}, "recoverer": {}} // role, the two places, actions
	for _, name := range drawn {
		m := model.Find(name)
		g, err := m.Graph(t.Context(), model.Options{})
		require.NoError(t, err)
		procs := slices.Concat(m.Protocol.Creator, m.Protocol.Recoverer)
		for state := range g.States() {
			from, _ := g.State(state)
			for _, edge := range g.Out(state) {
				a := g.Actions[edge.Action]
				p := 0
				if len(a.Args) > 0 {
					p = slices.Index(procs, a.Args[0]) + 1
				}
				if p == 0 || slices.Contains(m.Protocol.Upstream, a.Args[0]) {
					continue
				}
				to, _ := g.State(int(edge.To))
				if a.Name == "Crash" {
					require.Equal(t, model.Idle, to.PC[p])
					continue
				}
				role := "owner"
				if p > len(m.Protocol.Creator) {
					role = "recoverer"
				}
				places := model.PCName(from.PC[p]) + " --> " + model.PCName(to.PC[p])
				if edges[role][places] == nil {
					edges[role][places] = map[string]bool{}
				}
				edges[role][places][a.Name] = true
			}
		}
	}
	readme, err := os.ReadFile("../spec/README.md")
	require.NoError(t, err)
	for role, taken := range edges {
		var b strings.Builder
		b.WriteString("```mermaid\nstateDiagram-v2\n")
		for _, places := range slices.Sorted(maps.Keys(taken)) {
			fmt.Fprintf(&b, "    %s : %s\n", places, strings.Join(slices.Sorted(maps.Keys(taken[places])), ", "))
		}
		b.WriteString("```\n")
		if !strings.Contains(string(readme), b.String()) {
			t.Errorf("spec/README.md has not the diagram of the %s that the graphs make:\n%s", role, b.String())
		}
	}
}
