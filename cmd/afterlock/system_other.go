//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

func onLinux() []*cobra.Command { return nil }

// checkLimits does nothing: most stages are skipped on this system.
func checkLimits() error { return nil }

func runningKernel() string { return "" }

func lockHolder(string) (bool, int, error) { return false, 0, errors.ErrUnsupported }

func isNotDirectory(error) bool { return false }

func unordered(k kernel.Kernel) tempdir.Option { return kernel.With[tempdir.Option](k) }
