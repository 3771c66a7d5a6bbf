package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/afterlock/afterlock/tempdir"
)

func newLs() *cobra.Command {
	var (
		withSize, asJSON bool
		grace            = orphanGrace
	)
	cmd := &cobra.Command{
		Use:   "ls ROOT...",
		Short: "List the instances in a root, or in all roots of a store",
		Long: `Ls lists what is in a root: one line an instance, and the names that are not
ours. It takes no lock and changes nothing.

ROOT is a root, or a store: the graph root of containers/storage (Podman, CRI-O,
Buildah; such as /var/lib/containers/storage), an image store of it, or a layer
store. Then all its roots are listed; a store can have none. Image stores of a
graph root (imagestore and additionalimagestores in storage.conf) lie elsewhere:
give each as a ROOT of its own. Directories of partial pulls, overlay/staging, are
listed too; recovering those is for containers/storage.

States:
  live     a process holds the lock
  stale    nobody holds the lock: the next recovery removes it
  orphan   data without a lock file: a recovery removes it once it is old enough
  young    a lock file that may be about to be locked
  foreign  a name that is not ours: never touched
  unknown  the lock file cannot be read; the reason follows
of partial pulls:
  held     a process holds the lock
  free     nobody does
  no lock  there is no lock file in it

OWNER and PURPOSE are what the process that made the instance wrote, and "held
by" is the process that the kernel names; processes of containers/storage write
nothing.

Exit codes: 0 listed, 2 usage or a root cannot be read; the others are listed.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if grace < 0 {
				return errNegative
			}
			c := newChapters(args)
			var listings []listing
			c.each(func(root string) error {
				l, err := list(cmd.Context(), root, withSize, grace)
				if err == nil {
					listings = append(listings, l)
				}
				return err
			})
			return c.end(cmd, map[string]any{"roots": orEmpty(listings)}, asJSON, func(out io.Writer) error {
				for _, l := range listings {
					c.heading(out, l.Root)
					if l.Warning != "" {
						fmt.Fprintln(cmd.ErrOrStderr(), "afterlock: warning:", printable(l.Warning))
					}
					if err := printTable(out, l.table(withSize)); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&withSize, "size", false, "measure the data of every instance, which reads all its directories")
	cmd.Flags().DurationVar(&grace, "orphan-grace", orphanGrace, "how old an orphan has to be for the recovery that is foretold")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// A listing is what ls knows of one root.
type listing struct {
	Root      string  `json:"root"`
	RootBytes []byte  `json:"root_bytes,omitempty"`
	Warning   string  `json:"warning,omitempty"` // others can write into the root
	Instances []shown `json:"instances"`
}

// A shown is one line of ls.
type shown struct {
	tempdir.Instance
	NameBytes []byte         `json:"name_bytes,omitempty"` // of a name that is not UTF-8; base64
	Reason    string         `json:"reason,omitempty"`     // why the state is unknown
	Adoptable *time.Time     `json:"adoptable,omitempty"`  // from when on a recovery removes the orphan
	Usage     *tempdir.Usage `json:"usage,omitempty"`
	age       string
	note      string
}

func list(ctx context.Context, path string, withSize bool, grace time.Duration) (listing, error) {
	var warning string
	root, err := openRoot(path, lockGrace, grace)
	if errors.Is(err, tempdir.ErrExposed) { // to look does no harm
		warning = errorText(err)
		root, err = openRoot(path, lockGrace, grace, tempdir.AllowOthers())
	}
	if err != nil {
		return listing{}, err
	}
	defer root.Close()
	instances, err := root.Instances(ctx)
	if err != nil {
		return listing{}, err
	}
	l := listing{Root: root.Path(), RootBytes: bytesOf(root.Path()), Warning: warning, Instances: []shown{}}
	for _, instance := range instances {
		s := shown{Instance: instance, NameBytes: bytesOf(instance.Name), age: "-"}
		if !instance.Changed.IsZero() {
			s.age = age(time.Since(instance.Changed))
		}
		if s.Err != nil {
			s.Reason = errorText(s.Err)
			s.note = printable(s.Reason)
		}
		if s.State == tempdir.Orphan {
			at := s.Changed.Add(grace)
			s.Adoptable, s.note = &at, adoptable(time.Until(at))
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
		if s.note != "" {
			row = append(row, s.note)
		}
		rows = append(rows, row)
	}
	return rows
}

// adoptable says when a recovery removes an orphan, that long from now.
func adoptable(left time.Duration) string {
	if left <= 0 {
		return "the next recovery removes it"
	}
	return "left alone for " + age(left) + " more"
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
