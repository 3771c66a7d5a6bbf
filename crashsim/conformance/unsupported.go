//go:build !linux

package conformance

import (
	"context"
	"errors"
	"io"
)

// Run is not supported on this system: the library is not.
func Run(context.Context, Options) (Report, error) { return Report{}, errors.ErrUnsupported }

// Replay is not supported on this system: the library is not.
func Replay(context.Context, string, string, io.Writer) error { return errors.ErrUnsupported }
