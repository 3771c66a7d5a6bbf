package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

func newRm() *cobra.Command {
	var (
		r      remover
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "rm PATH...",
		Short: "Move paths aside at once, then delete them",
		Long: `Rm removes every PATH, of whatever type, with everything below it. It moves it
into a root next to it with one rename, and deletes it then: so a path is there as
a whole or not at all, however long the deletion takes. Symbolic links are
removed, not followed; nothing behind a mount point is touched.

The root is the directory .afterlock-UID next to the PATH, with the id of the
user. It is made if need be and removed when it is empty; a thing of that name
that is not a directory of the user is not used. If rm is killed, the next rm of
the user in the same directory (or "afterlock recover") finishes its work. With
--root another, existing directory of the same file system is used, and stays.

Where a PATH cannot be moved, because the disk is full, because it lies in a lower
layer of an overlay, or for whatever reason, it is removed where it is, as rm -r
does; --json says why. Only a mount point is refused. On a terminal, standard error
shows how many files are removed.

Exit codes: 0 every PATH is removed, 1 one could not be, 2 usage. What an earlier
rm left, and this one cannot remove either, is reported and changes no exit code.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, path := range args {
				if err := refuse(path); err != nil {
					return err
				}
			}
			end, err := r.effort.begin(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			r.removeAll(cmd.Context(), args)
			end()
			if asJSON {
				if err := printJSON(cmd.OutOrStdout(), map[string]any{"results": r.results, "leftovers": orEmpty(r.leftovers)}); err != nil {
					return err
				}
			}
			say := func(format string, values ...any) {
				fmt.Fprintf(cmd.ErrOrStderr(), "afterlock: "+format+"\n", values...)
			}
			bad := false
			for _, result := range r.results {
				switch {
				case result.err != nil:
					bad = true
					say("%s", printable(result.err.Error()))
				case r.root != "" && result.InPlace != "":
					say("%s was removed where it was: %s", printable(result.Path), printable(result.InPlace))
				}
			}
			for _, leftover := range r.leftovers {
				say("of an earlier rm: %s", printable(leftover))
			}
			if bad {
				return failed()
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.root, "root", "", "use this existing `directory` as the root")
	flags.BoolVarP(&r.force, "force", "f", false, "a PATH that does not exist is no failure")
	flags.BoolVar(&r.clearFlags, "clear-flags", false, "clear immutable and append-only flags that are in the way")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	r.effort.flags(cmd)
	return cmd
}

// refuse refuses paths that can only be a mistake.
func refuse(path string) error {
	trimmed := strings.TrimRight(path, "/")
	switch trimmed[strings.LastIndexByte(trimmed, '/')+1:] {
	case "", ".", "..":
		return fmt.Errorf("rm: refusing to remove %q", path)
	}
	return nil
}
