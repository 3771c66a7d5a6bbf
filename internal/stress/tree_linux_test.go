package stress

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheTreeThatIsMadeIsTheSameEachTimeAndMakesLayers(t *testing.T) {
	var hashes []string
	for range 2 {
		parent, err := os.MkdirTemp("/dev/shm", "stress-") // ext4 is slow at making inodes
		if err != nil {
			parent = t.TempDir()
		}
		t.Cleanup(func() { assert.NoError(t, os.RemoveAll(parent)) })
		dir := filepath.Join(parent, "made")
		require.NoError(t, makeTree(t.Context(), dir))
		hash, err := hashTree(dir)
		require.NoError(t, err)
		hashes = append(hashes, hash)
		paths, space, err := walkTree(t.Context(), dir)
		require.NoError(t, err)
		assert.Len(t, paths, madeFiles)
		assert.InEpsilon(t, madeSpace, space, 0.1)
	}
	assert.Equal(t, hashes[0], hashes[1])
}
