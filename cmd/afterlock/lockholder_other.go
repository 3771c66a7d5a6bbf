//go:build !linux

package main

import "errors"

func lockHolder(string) (bool, int, error) { return false, 0, errors.ErrUnsupported }

func isNotDirectory(error) bool { return false }
