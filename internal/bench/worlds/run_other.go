//go:build !linux

package worlds

import (
	"context"
	"errors"
	"fmt"
)

// Run needs Linux. The error matches errors.ErrUnsupported.
func Run(context.Context, Options) (Report, error) {
	return Report{}, fmt.Errorf("worlds are made of what Linux has: %w", errors.ErrUnsupported)
}
