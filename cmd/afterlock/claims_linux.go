package main

import (
	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/crashsim"
)

func newClaims() *cobra.Command {
	return &cobra.Command{
		Use:   "claims",
		Short: "Find out which claim needs which fsync, on a simulated disk",
		Long: `Claims deletes and adds layers on a simulated disk, with every set of fsyncs and
under every durability model, loses power at every point, recovers, and prints
for each claim the smallest sets of fsyncs under which it is true, and the
weakest model that needs none.

  ordered       what survives is a prefix of what was done (ext4, xfs)
  perDirectory  order holds within each directory
  weak          order holds only for operations on one name

The fsyncs are "flag" and "record" of the metadata, "data" of the data directory
before the first unlink, and "content" of what is added.

Exit codes: 0 success, 2 usage or not on this system, 3 interrupted.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			needs, err := crashsim.Needs(cmd.Context())
			if err != nil {
				return err
			}
			return crashsim.WriteNeeds(cmd.OutOrStdout(), needs)
		},
	}
}
