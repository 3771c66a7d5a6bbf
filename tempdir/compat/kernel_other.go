//go:build !linux

package compat

import "github.com/afterlock/afterlock/tempdir"

func defaultKernel() tempdir.Kernel { return nil }
