//go:build !linux || !(amd64 || arm64)

package subjects

import (
	"context"
	"fmt"
)

// Steered returns an error that matches [ErrUnavailable].
func (*Workshop) Steered(context.Context, string, int) (SteeredReport, error) {
	return SteeredReport{}, fmt.Errorf("%w: steering needs Linux on amd64 or arm64", ErrUnavailable)
}

// PowerLoss returns an error that matches [ErrUnavailable].
func (*Workshop) PowerLoss(context.Context, Run) (*Report, error) {
	return &Report{}, fmt.Errorf("%w: steering needs Linux on amd64 or arm64", ErrUnavailable)
}

// Killed returns an error that matches [ErrUnavailable].
func (*Workshop) Killed(context.Context, Run) (*Report, error) {
	return &Report{}, fmt.Errorf("%w: steering needs Linux on amd64 or arm64", ErrUnavailable)
}
