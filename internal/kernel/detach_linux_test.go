package kernel_test

import (
	"os"
	"testing"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/stretchr/testify/require"
)

// The working directory in which Detach looks is a thread's that ends. It was the
// first thread's at times, which never does: a directory of an instance was busy for
// ever then, and a later change of directory was not seen in /proc.
func TestDetachLeavesTheWorkingDirectoryAlone(t *testing.T) {
	dir, err := os.Open(t.TempDir())
	require.NoError(t, err)
	defer dir.Close()
	before, err := os.Readlink("/proc/self/cwd")
	require.NoError(t, err)
	for range 300 {
		require.Error(t, kernel.Linux().Detach(int(dir.Fd()), "nothing"))
		now, err := os.Readlink("/proc/self/cwd")
		require.NoError(t, err)
		require.Equal(t, before, now)
	}
}
