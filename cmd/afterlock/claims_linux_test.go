package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestClaimsSaysWhichFsyncKeepsHalfALayerOutOfReach(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped, because it tries every set of fsyncs")
	}
	stdout, stderr, code := call(t, "claims")
	assert.Zero(t, code, stderr)
	assert.Regexp(t, `(?m)^deletion +reachable-whole +none +data +data +ordered$`, stdout)
}
