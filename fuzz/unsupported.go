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

// Campaign returns an error that matches [errors.ErrUnsupported].
func Campaign(ctx context.Context, _ Options) (r Report, err error) {
	_, err = crashsim.Run(ctx, crashsim.Options{})
	return r, err
}
