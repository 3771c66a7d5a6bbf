package main

import (
	"testing"

	"github.com/afterlock/afterlock/internal/gate"
	"github.com/stretchr/testify/assert"
)

func TestShard(t *testing.T) {
	for text, want := range map[string]gate.Shard{"": {}, "1/1": {I: 1, N: 1}, "3/4": {I: 3, N: 4}} {
		got, err := parseShard(text)
		assert.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"0/4", "5/4", "1", "1/", "/2", "a/b", "1/2/3", "-1/2"} {
		_, err := parseShard(text)
		assert.ErrorContains(t, err, "expected I/N", text)
	}
}
