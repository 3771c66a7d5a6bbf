package model

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spoil puts each byte of a state out of range, far and, if it is of an index that is
// not used, by one; and returns how many of them TypeOK refuses.
func spoil[S any](t *testing.T, s S, invariants []check[func(*S) bool]) (refused int) {
	t.Helper()
	require.Len(t, invariants, 1)
	assert.True(t, invariants[0].holds(&s), "as it is")
	for i := range int(unsafe.Sizeof(s)) {
		far, near := s, s
		*(*byte)(unsafe.Add(unsafe.Pointer(&far), i)) = 0xff
		*(*byte)(unsafe.Add(unsafe.Pointer(&near), i)) = 1
		if farHolds, nearHolds := invariants[0].holds(&far), invariants[0].holds(&near); !farHolds || !nearHolds {
			refused++
		}
	}
	return refused
}

// TypeOK is true in every state of every model, so what it refuses is shown here.
// What it lets pass is at an index that is not used, or fits by construction.
func TestTypeOKRefusesWhatIsOutOfRange(t *testing.T) {
	typed := func(name string) (system, Key) {
		m := *Find(name)
		m.Properties = []string{"TypeOK"}
		sys := m.system()
		return sys, sys.initial()
	}
	var s State
	sys, k := typed("GateSwept")
	unpack(k, &s)
	assert.Equal(t, 26, spoil(t, s, sys.(*Protocol).invariants), "protocol, of 47 bytes")

	var store storeState
	sys, k = typed("LayerStore")
	unpackStore(k, &store)
	assert.Equal(t, 19, spoil(t, store, sys.(*LayerStore).invariants), "layer store, of 46 bytes")

	var readers readersState
	sys, k = typed("Readers")
	unpackReaders(k, &readers)
	assert.Equal(t, 16, spoil(t, readers, sys.(*Readers).invariants), "readers, of 36 bytes")

	var save saveState
	sys, k = typed("Save")
	unpackSave(k, &save)
	assert.Equal(t, 5, spoil(t, save, sys.(*Save).invariants), "save, of 14 bytes")

	sys, _ = typed("PowerWeak")
	holds := sys.(*PowerLoss).TypeOK
	for i, s := range []powerState{
		{losses: 9}, {cache: diskTree{files: 9}}, {disk: diskTree{layer: 9}}, {cache: diskTree{record: 9}},
	} {
		assert.False(t, holds(&s), "power loss %d", i)
	}
}
