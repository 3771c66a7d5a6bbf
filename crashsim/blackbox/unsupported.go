//go:build !linux || !(amd64 || arm64)

package blackbox

import (
	"context"
	"errors"
	"fmt"
	"io"
)

var errNoLinux = fmt.Errorf("%w: seccomp user notification needs Linux on amd64 or arm64", errors.ErrUnsupported)

// Run returns an error that matches [errors.ErrUnsupported].
func Run(context.Context, Options) (Report, error) { return Report{}, errNoLinux }

// Replay returns an error that matches [errors.ErrUnsupported].
func Replay(context.Context, string, string, io.Writer) (int, error) { return 0, errNoLinux }
