//go:build !linux

package linearizability

import (
	"context"
	"errors"
	"fmt"
	"runtime"
)

// Run returns an error that matches [errors.ErrUnsupported].
func Run(context.Context, Config) (Report, error) {
	return Report{}, fmt.Errorf("the layer store works on Linux, and this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
