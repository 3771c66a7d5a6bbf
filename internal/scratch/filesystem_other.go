//go:build !linux

package scratch

import "errors"

// FileSystem returns an error that matches [errors.ErrUnsupported].
func FileSystem(string) (string, error) { return "", errors.ErrUnsupported }
