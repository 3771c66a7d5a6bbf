package tempdir

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/afterlock/afterlock/internal/kernel"
)

// FuzzOwner: whatever a lock file says, it is no record, or one that is written as it
// is read, but for what is too long.
func FuzzOwner(f *testing.F) {
	f.Add([]byte(`{"pid":1,"start":2,"boot":"b","executable":"e","purpose":"p"}` + "\n"))
	f.Add([]byte(`{"pid":-1}` + "\n"))
	f.Fuzz(func(t *testing.T, record []byte) {
		owner := parseOwner(record)
		if owner == nil {
			return
		}
		if len(owner.Boot) > 64 {
			owner.Boot = owner.Boot[:64] // it is the kernel's, and short
		}
		written := owner.encode()
		require.LessOrEqual(t, len(written), kernel.MaxRecord)
		again := parseOwner(written)
		require.NotNil(t, again, "%s", written)
		require.Equal(t, written, again.encode())
	})
}
