package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// rmRoot is the name of the root that rm makes beside its victims.
const rmRoot = ".afterlock"

func newRm() *cobra.Command {
	var (
		root   string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "rm PATH...",
		Short: "Move paths aside at once, then delete them",
		Long: `Rm moves every PATH, of whatever type, into a root beside it with one rename,
and deletes it then. So a path is there as a whole or not at all, however long
the deletion takes. Symbolic links are removed, not followed; nothing behind a
mount point is touched.

The root is the directory ` + rmRoot + ` next to the PATH, on the same file system. It is
made if need be and removed when it is empty. If rm is killed, the next rm in the
same directory (or "afterlock recover") finishes its work. With --root another,
existing directory of the same file system is used, and stays.

Exit codes: 0 all removed, 1 something could not be removed, 2 usage.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, path := range args {
				if err := refuse(path); err != nil {
					return err
				}
			}
			r := remover{root: root}
			r.removeAll(cmd.Context(), args)
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), map[string]any{"results": r.results, "leftovers": r.leftovers}); err != nil {
					return err
				}
			}
			bad := false
			for _, removed := range r.results {
				if removed.err != nil {
					bad = true
					fmt.Fprintf(cmd.ErrOrStderr(), "afterlock: %s\n", printable(removed.err.Error()))
				}
			}
			for _, leftover := range r.leftovers {
				bad = true
				fmt.Fprintf(cmd.ErrOrStderr(), "afterlock: of an earlier rm: %s\n", printable(leftover))
			}
			if bad {
				return failed()
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&root, "root", "", "use this existing `directory` as the root")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// refuse refuses paths that can only be a mistake.
func refuse(path string) error {
	trimmed := strings.TrimRight(path, "/")
	switch base := trimmed[strings.LastIndexByte(trimmed, '/')+1:]; base {
	case "", ".", "..":
		return fmt.Errorf("rm: refusing to remove %q", path)
	case rmRoot:
		return fmt.Errorf("rm: refusing to remove %q: it is where rm works; see \"afterlock recover\"", path)
	}
	return nil
}
