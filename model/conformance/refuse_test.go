//go:build linux

package conformance

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// What is tried can be found not to be refused: here are states in which an
// action is enabled, and the check is told that it is not.
func TestAnEnabledActionIsNotRefused(t *testing.T) {
	for action, after := range map[string][]string{
		"RemoveData(c1)":  {"OpenUnnamed(c1)", "TakeLock(c1)", "LinkLock(c1,i1)", "MakeData(c1)", "Return(c1)"},
		"List(r1,i1)":     {"OpenUnnamed(c1)", "TakeLock(c1)", "LinkLock(c1,i1)"},
		"TakeLock(c1)":    {"OpenUnnamed(c1)"},
		"Invoke(c1,v1)":   {"OpenUnnamed(c1)", "TakeLock(c1)", "LinkLock(c1,i1)", "MakeData(c1)", "Return(c1)"},
		"RemoveEntry(c1)": {"OpenUnnamed(c1)", "TakeLock(c1)", "LinkLock(c1,i1)", "MakeData(c1)", "Return(c1)", "Invoke(c1,v1)", "StageDeletion(c1)", "Return(c1)", "OpenDirectory(c1)", "OpenEntry(c1,v1)"},
	} {
		t.Run(action, func(t *testing.T) {
			m := model.Find("GateSwept")
			g, err := m.Graph(context.Background(), model.Options{})
			require.NoError(t, err)
			s, done, err := open(t.TempDir(), m)
			require.NoError(t, err)
			defer func() { assert.NoError(t, done()) }()
			require.NoError(t, s.reset())
			at, from := 0, model.State{}
			from, _ = g.State(0)
			require.NoError(t, s.compare(&from, &from))
			for _, name := range after {
				for _, e := range g.Out(at) {
					if s.table[e.Action].String() == name {
						to, _ := g.State(int(e.To))
						require.NoError(t, s.take(&s.table[e.Action], &from, &to))
						require.NoError(t, s.compare(&from, &to))
						at, from = int(e.To), to
						break
					}
				}
			}
			err = s.refuse(&from, func(i int) bool { return s.table[i].String() != action })
			assert.ErrorContains(t, err, action+" is disabled, and was not refused")
		})
	}
}
