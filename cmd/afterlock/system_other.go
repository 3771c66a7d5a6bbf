//go:build !linux

package main

import (
	"errors"

	"github.com/afterlock/afterlock/internal/kernel"
	"github.com/afterlock/afterlock/tempdir"
)

func runningKernel() string { return "" }

func lockHolder(string) (bool, int, error) { return false, 0, errors.ErrUnsupported }

func isNotDirectory(error) bool { return false }

func unordered(k kernel.Kernel) tempdir.Option { return kernel.With[tempdir.Option](k) }

func inUserSpace(string) bool { return false }
