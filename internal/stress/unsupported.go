//go:build !linux

package stress

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// Lifecycle returns an error that matches [errors.ErrUnsupported].
func Lifecycle(context.Context, Config) (LifecycleReport, error) {
	return LifecycleReport{}, unsupported()
}

// Race returns an error that matches [errors.ErrUnsupported].
func Race(context.Context, Config) (RaceReport, error) {
	return RaceReport{}, unsupported()
}

// FileSystem returns an error that matches [errors.ErrUnsupported].
func FileSystem(string) (string, error) { return "", unsupported() }

// Traces returns an error that matches [errors.ErrUnsupported].
func Traces(context.Context, Config) (TracesReport, error) {
	return TracesReport{}, unsupported()
}

func unsupported() error {
	return fmt.Errorf("the library works on Linux, and this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
