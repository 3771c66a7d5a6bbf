//go:build linux

package layerstore

import (
	"context"
	"fmt"
	"strings"
)

// Look is one look of [Store.Maintain].
func Look(s *Store) (Report, bool, error) { return s.look(context.Background(), false) }

// Jittered is the time between two looks of [Store.Maintain].
var Jittered = jittered

// EncodedSize returns the size of a file of metadata with layers whose labels have
// so many bytes, the first flagged of which have the flag.
func EncodedSize(layers, labelBytes, flagged int) int {
	m := &metadata{Version: formatVersion}
	for i := range layers {
		m.Serial++
		m.Layers = append(m.Layers, record{
			Layer:      Layer{ID: fmt.Sprintf("layer%03d", i), Serial: m.Serial, Labels: map[string]string{"k": strings.Repeat("v", labelBytes)}},
			Incomplete: i < flagged,
		})
	}
	text, err := m.encode()
	if err != nil {
		panic(err)
	}
	return len(text)
}

// Movable is what [Store.Create] asks before the work.
var Movable = movable

// OpenSlice is how long Open recovers.
const OpenSlice = openSlice
