//go:build !linux

package trace

import (
	"errors"
	"fmt"
	"runtime"
)

// Create returns an error that matches [errors.ErrUnsupported].
func Create(string, int, int) (*Recording, error) { return nil, unsupported() }

// Attach returns an error that matches [errors.ErrUnsupported].
func Attach(string) (*Recording, error) { return nil, unsupported() }

// Close does nothing.
func (*Recording) Close() error { return nil }

func unsupported() error {
	return fmt.Errorf("recording works on Linux, and this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
