package proof

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// What the page says callers see of each action is what they see of it in models.
func TestReadmeSaysWhatCallersSee(t *testing.T) {
	if testing.Short() {
		t.Skip("goes through several models")
	}
	sees := map[string][]string{}
	for _, name := range []string{"GateRefinementFallback", "GateReleaseRefinement", "GateMountRefinement", "GateInspect", "GateOrphan", "GateOrphanFallback", "GateAddition", "ProbeYoungOrphan"} {
		m := model.Find(name)
		b, err := NewBridge(m)
		require.NoError(t, err)
		steps := whatCallersSee()
		formulas := make([]compiled, len(steps))
		for k, s := range steps {
			formulas[k] = compile(s.formula(), parameters)
		}
		g, err := m.Graph(t.Context(), model.Options{})
		require.NoError(t, err)
		for k := range g.States() {
			s, _ := g.State(k)
			b.abstract(&s, b.before.s)
			b.before.s.fill(1)
			for _, l := range b.labels {
				for a := range l.arms {
					arm := l.arms[a].Name
					b.each(&s, &l.arms[a], lowestFree(&s), func() {
						b.before.n.fill(1)
						k := slices.IndexFunc(formulas, func(f compiled) bool { return f(b.before) != 0 })
						require.GreaterOrEqual(t, k, 0, "%s in\n%s", arm, b.m.Text(s))
						if !slices.Contains(sees[arm], steps[k].name) {
							sees[arm] = append(sees[arm], steps[k].name)
						}
					})
				}
			}
		}
	}
	text, err := os.ReadFile("../../spec/README.md")
	require.NoError(t, err)
	rows := map[string][]string{} // by what callers see
	for _, a := range Actions() {
		slices.Sort(sees[a.Name])
		seen := strings.Join(sees[a.Name], ", ")
		if !slices.Contains(rows[seen], a.Name) {
			rows[seen] = append(rows[seen], a.Name)
		}
	}
	for seen, actions := range rows {
		row := fmt.Sprintf("| %s | %s |", strings.Join(actions, ", "), seen)
		assert.Contains(t, string(text), row)
		if os.Getenv("AFTERLOCK_WRITE") != "" {
			fmt.Println(row)
		}
	}
}
