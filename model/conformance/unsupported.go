//go:build !linux

package conformance

import (
	"context"
	"errors"
	"io"
)

// Run is not supported on this system: the library is not.
func Run(context.Context, Options) (Report, error) { return Report{}, errors.ErrUnsupported }

// Kill is not supported on this system: the library is not.
func Kill(context.Context, Options, int) (Report, error) { return Report{}, errors.ErrUnsupported }

// Replay is not supported on this system: the library is not.
func Replay(context.Context, string, string, io.Writer) error { return errors.ErrUnsupported }

// Counterexamples is not supported on this system: the library is not.
func Counterexamples() []string { return nil }

// ReplayCounterexample is not supported on this system: the library is not.
func ReplayCounterexample(context.Context, CounterexampleOptions) (CounterexampleReport, error) {
	return CounterexampleReport{}, errors.ErrUnsupported
}

// Fleets returns none.
func Fleets() []string { return nil }

// Fleet is not supported on this system: the library is not.
func Fleet(context.Context, Options, Where, int) (FleetReport, error) {
	return FleetReport{}, errors.ErrUnsupported
}
