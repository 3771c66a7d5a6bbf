package main

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/tempdir"
)

func newLs() *cobra.Command {
	var withSize, asJSON bool
	cmd := &cobra.Command{
		Use:   "ls ROOT",
		Short: "List the instances in a root, or in all roots of a store",
		Long: `Ls lists what is in a root: one line an instance, and the names that are not
ours. It takes no lock and changes nothing.

ROOT is a root, or the graph root of containers/storage (Podman, CRI-O, Buildah;
such as /var/lib/containers/storage): then all its roots are listed.

States:
  live     a process holds the lock
  stale    nobody holds the lock: the next recovery removes it
  orphan   data without a lock file
  foreign  a name that is not ours: never touched
  unknown  the lock file cannot be read; the reason follows

OWNER and PURPOSE are what the process that made the instance wrote, and "held
by" is the process that the kernel names; processes of containers/storage write
nothing.

Exit codes: 0 listed, 2 usage or a root cannot be read.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			roots, err := findRoots(args[0])
			if err != nil {
				return err
			}
			var listings []listing
			for _, root := range roots {
				l, err := list(cmd.Context(), root, withSize)
				if err != nil {
					return err
				}
				listings = append(listings, l)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), map[string]any{"roots": listings})
			}
			for i, l := range listings {
				if i > 0 {
					fmt.Fprintln(cmd.OutOrStdout())
				}
				if len(listings) > 1 {
					fmt.Fprintf(cmd.OutOrStdout(), "%s:\n", printable(l.Root))
				}
				if err := printTable(cmd.OutOrStdout(), l.table(withSize)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&withSize, "size", false, "measure the data of every instance, which reads all its directories")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A listing is what ls knows of one root.
type listing struct {
	Root      string  `json:"root"`
	Instances []shown `json:"instances"`
}

// A shown is one line of ls.
type shown struct {
	tempdir.Instance
	NameBytes []byte         `json:"name_bytes,omitempty"` // of a name that is not UTF-8; base64
	Reason    string         `json:"reason,omitempty"`     // why the state is unknown
	Usage     *tempdir.Usage `json:"usage,omitempty"`
	age       string
}

func list(ctx context.Context, path string, withSize bool) (listing, error) {
	root, err := openRoot(path, lockGrace, dataGrace)
	if err != nil {
		return listing{}, err
	}
	defer root.Close()
	instances, err := root.Instances(ctx)
	if err != nil {
		return listing{}, err
	}
	l := listing{Root: root.Path(), Instances: []shown{}}
	for _, instance := range instances {
		s := shown{Instance: instance, age: "-"}
		if !instance.Changed.IsZero() {
			s.age = age(time.Since(instance.Changed))
		}
		if !utf8.ValidString(s.Name) {
			s.NameBytes = []byte(s.Name)
		}
		if s.Err != nil {
			s.Reason = s.Err.Error()
		}
		if withSize && s.Data && s.State != tempdir.Foreign {
			usage, err := root.Usage(ctx, s.Name)
			if err != nil {
				return listing{}, err
			}
			s.Usage = &usage
		}
		l.Instances = append(l.Instances, s)
	}
	return l, nil
}

// table is the listing for people.
func (l listing) table(withSize bool) [][]string {
	heading := []string{"ID", "STATE", "AGE", "OWNER", "PURPOSE", "DATA"}
	if withSize {
		heading = append(heading, "SIZE")
	}
	rows := [][]string{heading}
	for _, s := range l.Instances {
		row := []string{cell(s.Name), s.State.String(), s.age, s.owner(), s.purpose(), s.data()}
		if withSize {
			row = append(row, s.usage())
		}
		if s.Reason != "" {
			row = append(row, printable(s.Reason))
		}
		rows = append(rows, row)
	}
	return rows
}

// owner is "1234 podman", "held by 1234", both, or "-".
func (s shown) owner() string {
	var parts []string
	if s.Owner != nil {
		parts = append(parts, fmt.Sprintf("%d %s", s.Owner.PID, cell(s.Owner.Executable)))
	}
	if s.Holder != 0 {
		parts = append(parts, fmt.Sprintf("held by %d", s.Holder))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

func (s shown) purpose() string {
	if s.Owner == nil || s.Owner.Purpose == "" {
		return "-"
	}
	return cell(s.Owner.Purpose)
}

func (s shown) data() string {
	if s.Data {
		return "yes"
	}
	return "-"
}

func (s shown) usage() string {
	switch {
	case s.Usage == nil:
		return "-"
	case s.Usage.Partial:
		return fmt.Sprintf("at least %s in %s", size(s.Usage.Bytes), names(s.Usage.Files))
	}
	return fmt.Sprintf("%s in %s", size(s.Usage.Bytes), names(s.Usage.Files))
}

// names is a number of names, in words.
func names(n int64) string {
	if n == 1 {
		return "1 name"
	}
	return fmt.Sprintf("%d names", n)
}
