//go:build !linux

package crashsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
)

// Scenarios returns none.
func Scenarios(bool) []Scenario { return nil }

// Run returns an error that matches [errors.ErrUnsupported].
func Run(context.Context, Options) (Report, error) { return Report{}, unsupported() }

// Needs returns an error that matches [errors.ErrUnsupported].
func Needs(context.Context) ([]Need, error) { return nil, unsupported() }

// Replay returns an error that matches [errors.ErrUnsupported].
func Replay(context.Context, string, io.Writer) (int, error) { return 0, unsupported() }

func unsupported() error {
	return fmt.Errorf("the library works on Linux, and this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
