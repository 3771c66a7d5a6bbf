package model

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClasses(t *testing.T) {
	all, unseen, err := Find("GateRefinementTwo").Classes(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []int{192, 2}, []int{len(all), unseen})
	var words []string
	for _, c := range all {
		words = append(words, c.String())
	}
	assert.Contains(t, words, "Crash(creator), processes [verified inside], on disk [lock file, data]")
	assert.NotContains(t, words, "Crash(creator), processes [], on disk []")
	_, _, err = Find("LayerStore").Classes(t.Context())
	assert.ErrorContains(t, err, "no model of the protocol")
}
