//go:build amd64 || arm64

package blackbox

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What is remembered of descriptors changes nothing about which calls stop a
// process that also looks elsewhere.
func TestRememberedDescriptorsLeadIntoTheScene(t *testing.T) {
	_, w := newCampaign(t)
	for _, name := range []string{"create-overlay", "deletechain-vfs", "recover-overlay"} {
		p := findProgram(name)
		remembered := 0
		for range 3 {
			require.NoError(t, w.prepare(p.scene))
			d, err := w.begin(p)
			require.NoError(t, err)
			for d.busy() {
				if !d.at.resolved {
					remembered++
				}
				c := w.super.resolve(d.at)
				assert.Contains(t, c.String(), w.scene, "%s", name)
				require.NoError(t, w.super.step(d))
			}
			_, _, err = w.end(d)
			require.NoError(t, err)
			_, err = w.look()
			require.NoError(t, err)
		}
		assert.Greater(t, remembered, 50, name)
	}
}

func TestDescriptorsIsASetOfSmallOnes(t *testing.T) {
	var d descriptors
	d.add(5)
	d.add(200)
	assert.True(t, d.has(5))
	assert.False(t, d.has(200))
	assert.False(t, d.has(6))
	assert.False(t, d.has(0xffffff9c), "AT_FDCWD")
	d.remove(5)
	d.remove(200)
	assert.Zero(t, d)
}
