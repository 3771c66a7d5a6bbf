//go:build !linux

package fuzz

import (
	"context"
	"io"

	"github.com/afterlock/afterlock/crashsim"
)

// Replay returns an error that matches [errors.ErrUnsupported].
func Replay(ctx context.Context, text string, w io.Writer) (int, error) {
	return crashsim.Replay(ctx, text, w)
}
