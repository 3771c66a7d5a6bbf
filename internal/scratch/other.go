//go:build !linux

package scratch

import (
	"errors"
	"os"
)

// FileSystem returns an error that matches [errors.ErrUnsupported].
func FileSystem(string) (string, error) { return "", errors.ErrUnsupported }

// Mine reports whether it is a directory: the library opens no root on this system.
func Mine(info os.FileInfo) bool { return info.IsDir() }
