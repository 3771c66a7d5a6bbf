package model_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/model"
)

// A walk by hand through a deletion, as a trace or a schedule would ask for it.
func TestAWalkThroughADeletion(t *testing.T) {
	m, err := model.NewProtocol(*model.Find("Gate").Protocol, model.Spec)
	require.NoError(t, err)
	s := m.Init()
	for _, label := range []string{
		"OpenUnnamed(c1)", "TakeLock(c1)", "LinkLock(c1,i1)", "MakeData(c1)", "Return(c1)",
		"Invoke(c1,v1)", "StageDeletion(c1)", "Return(c1)", "List(r1,i1)", "OpenLock(r1)", "TakeLock(r1)", "Close(r1)",
		"OpenDirectory(c1)", "OpenEntry(c1,v1)", "RemoveEntry(c1)", "RemoveEntry(c1)", "RemoveEntry(c1)",
		"RemoveData(c1)", "StatName(c1)", "RemoveLock(c1)", "Close(c1)",
	} {
		var found bool
		for _, next := range m.Steps(s) {
			if m.Actions()[next.Action].String() == label {
				s, found = next.State, true
				assert.True(t, m.LiveKept(&s) && m.LiveIsLocked(&s) && m.OneOwner(&s) && m.DataHasLock(&s))
				break
			}
		}
		require.True(t, found, "%s is disabled in\n%s", label, m.Text(s))
	}
	assert.Equal(t, model.PlaceGone, s.Place[1])
	assert.Equal(t, []string{"", "", "", "place=[v1->gone] used={i1}"}, m.Words(s))
	for i, a := range m.Actions() {
		if a.String() == "LinkLock(c1,i1)" {
			assert.Equal(t, `pc[p] = "locked"`, m.FalseGuard(s, uint16(i)))
		}
		if a.String() == "OpenUnnamed(c1)" {
			assert.Contains(t, m.FalseGuard(s, uint16(i)), "some id is fresh")
		}
	}
	assert.Equal(t, []string{"c1", "r1", "r2"}, m.Procs())
	assert.Equal(t, []string{"i1"}, m.IDs())
	assert.Equal(t, []string{"v1"}, m.Items())
	assert.Equal(t, 4, m.Inodes())
}

func TestProtocolRefusesWhatDoesNotFit(t *testing.T) {
	good := *model.Find("Gate").Protocol
	for name, change := range map[string]func(c *model.Config){
		"five processes":    func(c *model.Config) { c.Recoverer = []string{"r1", "r2", "r3", "r4"} },
		"three ids":         func(c *model.Config) { c.ID = []string{"i1", "i2", "i3"} },
		"four files":        func(c *model.Config) { c.Files = 4 },
		"a stranger":        func(c *model.Config) { c.Upstream = []string{"x1"} },
		"an unknown mutant": func(c *model.Config) { c.Swap = map[string]string{"Close": "Nothing"} },
		"no kind of lock":   func(c *model.Config) { c.LockKind = "flock" },
	} {
		c := good
		change(&c)
		_, err := model.NewProtocol(c, model.Spec)
		assert.ErrorContains(t, err, "model: ", name)
	}
	_, err := model.NewProtocol(good, "LiveSpec")
	assert.Error(t, err)
	_, err = model.NewProtocol(good, model.MixedSpec)
	assert.NoError(t, err)
}
