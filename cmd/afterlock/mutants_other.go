//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newMutants() *cobra.Command {
	return &cobra.Command{
		Use:   "mutants",
		Short: "Try mutants of the source on every check (on Linux)",
		RunE:  func(*cobra.Command, []string) error { return errors.ErrUnsupported },
	}
}
