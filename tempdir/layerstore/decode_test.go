package layerstore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/kernel"
)

// FuzzMetadata: whatever is in layers.json, it is refused with a kind, or it is
// metadata that is written as it is read, in as many blocks however many are flagged.
func FuzzMetadata(f *testing.F) {
	const short = `"short":"AAAAAAAAAAAAAAAAAAAAAAAAAA"`
	f.Add([]byte(`{"version":1,"serial":2,"layers":[{"id":"a","serial":1,"driver":"vfs",` + short + `},{"id":"b","parent":"a","serial":2,"driver":"overlay","incomplete":true,` + short + `}]}`))
	f.Add([]byte(`{"version":2,"layers":"new"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, kind, reason := decode(data)
		if kind != nil {
			require.Error(t, reason)
			require.Nil(t, m)
			return
		}
		written, err := m.encode()
		require.NoError(t, err)
		require.Zero(t, len(written)%kernel.Block)
		again, kind, reason := decode(written)
		require.NoError(t, kind, "%v: %s", reason, written)
		twice, err := again.encode()
		require.NoError(t, err)
		require.Equal(t, string(written), string(twice))
		flagged, err := m.withFlag(m.Layers).encode()
		require.NoError(t, err)
		require.Len(t, flagged, len(written))
	})
}
