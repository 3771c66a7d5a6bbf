//go:build !linux

package fleet

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// Run returns an error that matches [errors.ErrUnsupported].
func Run(context.Context, Config) (Report, error) {
	return Report{}, fmt.Errorf("the library works on Linux, and this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
