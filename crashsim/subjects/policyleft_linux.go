package subjects

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// A leftover is a stale instance: so many files, or a mount.
type leftover struct {
	files int
	mount bool
}

func (l leftover) String() string {
	if l.mount {
		return "with a mount"
	}
	return fmt.Sprint(Number(l.files), " files")
}

// policyLeft reports what a short-lived process that lists the layers, and ends, leaves
// of an instance that somebody else has left.
func policyLeft(ctx context.Context, w *Workshop, o PolicyOptions, chosen []policy, report *Report) error {
	leftovers := []leftover{{files: 100}, {files: 30_000}, {mount: true}}
	columns := []string{"policy"}
	for _, l := range leftovers {
		columns = append(columns, l.String())
	}
	table := report.Table("names that one short-lived listing leaves of an instance in overlay/tempdirs", columns...)
	for _, p := range chosen {
		driver, err := w.Driver(ctx, p.variant)
		if err != nil {
			return err
		}
		cells := []any{p.name}
		for _, l := range leftovers {
			left := 0
			if err := o.onScene(ctx, func(s *scene) (err error) {
				left, err = s.leave(ctx, driver, l)
				return err
			}); err != nil {
				return err
			}
			if left > 0 && p.variant == "compat" {
				report.Problem("%s: one listing leaves %d names of an instance, %v", p.name, left, l)
			}
			cells = append(cells, left)
		}
		table.Row(cells...)
	}
	return nil
}

// leave makes an instance stale, lists the layers, and counts the names that are left.
func (s *scene) leave(ctx context.Context, driver string, l leftover) (left int, err error) {
	list := func() error {
		p, err := start(ctx, driver, s.dir, "list")
		if err == nil {
			_, err = p.numbers(1)
		}
		return err
	}
	if err := list(); err != nil { // makes the store
		return 0, err
	}
	// The driver has mounted its home upon itself; an instance is older than that.
	if err := unix.Unmount(s.graph("overlay"), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return 0, err
	}
	root := s.roots()[0]
	data := filepath.Join(root, "temp-dir-29641", "0-victim")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(root, "lock-29641"), nil, 0o600); err != nil {
		return 0, err
	}
	for i := range l.files {
		if err := os.WriteFile(filepath.Join(data, strconv.Itoa(i)), nil, 0o600); err != nil {
			return 0, err
		}
	}
	if l.mount {
		if err := unix.Mount("tmpfs", data, "tmpfs", 0, "size=64k,mode=700"); err != nil {
			return 0, err
		}
	}
	if err := list(); err != nil {
		return 0, err
	}
	err = filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if path != root {
			left++
		}
		return err
	})
	return left, err
}
