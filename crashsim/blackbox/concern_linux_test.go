//go:build amd64 || arm64

package blackbox

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// What is remembered of descriptors changes nothing about which calls stop a
// process that also looks elsewhere.
func TestRememberedDescriptorsLeadIntoTheScene(t *testing.T) {
	_, w := newCampaign(t)
	for _, name := range []string{"create-overlay", "deletechain-vfs", "recover-overlay"} {
		p := findProgram(name)
		remembered := 0
		for range 3 {
			w.watch(t, p, func(at *stop) {
				if !at.resolved {
					remembered++
				}
				assert.Contains(t, w.super.resolve(at).String(), w.scene, name)
			})
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
