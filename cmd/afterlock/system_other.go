//go:build !linux

package main

import (
	"errors"

	"github.com/afterlock/afterlock/tempdir"
)

func kernel() string { return "" }

func lockHolder(string) (bool, int, error) { return false, 0, errors.ErrUnsupported }

func isNotDirectory(error) bool { return false }

func unordered(k tempdir.Kernel) tempdir.Option { return tempdir.WithKernel(k) }

func inUserSpace(string) bool { return false }
