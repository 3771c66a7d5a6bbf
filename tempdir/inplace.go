//go:build linux

package tempdir

import (
	"cmp"
	"context"
	"io/fs"
	"os"
	"strings"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// Remove removes path where it is, with everything in it: for what cannot be
// staged, because the disk is full or because it lies behind another mount. It
// needs neither free space nor a root.
//
// It takes the same care as [Dir.Close]: no symbolic link in the last element of
// path or below it is followed, no mount is crossed, and modes of directories
// that are in the way are changed; [ClearFlags] and [DetachMounts] apply.
// Links in the parent of path are followed once. What cannot
// be removed is reported as a [*LeftoverError]. A flag of the parent that is
// cleared is set again in the end.
//
// There is no lock, no entry and nobody to finish after a crash, which leaves
// what was not removed yet under its name. Excluding others, and finishing, is
// for the caller. The cost is that of the unlinks.
//
// A deep tree is removed with few descriptors by renaming directories up within
// it. Where no rename works either (a lower layer of an overlay, Landlock), it takes
// one descriptor for each level.
//
// Errors match [ErrVictimGone], [ErrForeign] (path is the lock file or the data
// directory of an instance: recover its root) or [ErrLeftover]. A directory that
// is only called like one is removed like any other.
func Remove(ctx context.Context, path string, opts ...Option) error {
	const op = "remove"
	dir, name := splitPath(path)
	if err := refuseNoName(op, path, name); err != nil {
		return err
	}
	r := &Root{options: newOptions(opts), path: dir, ordered: true, parent: true}
	r.kernel = r.options.kernel
	r.options.mixed = true // a lock file here may be upstream's
	if !strings.Contains(path, "/") {
		r.path = ""
	}
	var err error
	r.fd, err = r.kernel.OpenParent(dir + ".")
	if err != nil {
		return r.explain(Error{Op: op, Path: path}, "OpenParent", err, nil, place{unix.AT_FDCWD, dir + "."})
	}
	defer r.kernel.Close(r.fd)
	defer func() {
		if r.cleared != 0 {
			_ = r.kernel.SetFlags(r.fd, ".", r.cleared)
		}
	}()
	m := r.newMeter(op, path)
	err = r.removeInPlace(ctx, op, path, name, m)
	m.end()
	return err
}

// clearParent clears the flags of the directory that holds what is removed, which
// has them again in the end.
func (r *Root) clearParent() (cleared bool) {
	a, err := r.kernel.StatName(r.fd, ".")
	if !r.options.clearFlags || err != nil || !a.MayHaveFlags() {
		return false
	}
	flags, err := r.kernel.ClearFlags(r.fd, ".")
	r.cleared |= flags
	return err == nil
}

// removeInPlace removes name, which is directly in the root.
func (r *Root) removeInPlace(ctx context.Context, op, path, name string, m *meter) error {
	v := r.newRemoval(op, name, m)
	v.ctx = ctx
	a, err := r.kernel.StatName(r.fd, name)
	var why error
	if err != nil && err != unix.ENOENT { // a dead mount
		_, why = v.detach(-1, name)
		a, err = r.kernel.StatName(r.fd, name)
	}
	switch {
	case is("StatName", err, gone):
		return &Error{Op: op, Path: path, Kind: ErrVictimGone, Err: err}
	case err != nil:
		// What is mounted there may be dead; the kernel tells a mount before it asks it.
		if fd, openErr := r.kernel.OpenDirectory(r.fd, name); openErr == nil {
			r.kernel.Close(fd)
		} else if openErr == unix.EXDEV {
			return v.leftover(v.explain(-1, name, "OpenDirectory", openErr, cmp.Or(why, err)))
		}
		return v.leftover(v.explain(-1, name, "StatName", err, why))
	case strings.HasSuffix(path, "/") && a.Mode != fs.ModeDir:
		return &Error{Op: op, Path: path, Err: unix.ENOTDIR}
	}
	if err := r.refuseInstance(op, name, a); err != nil {
		return err
	}
	if a.Mode != fs.ModeDir {
		err := v.remove(-1, name, "RemoveEntry")
		v.tally()
		if err != errAnother {
			return v.leftover(err)
		}
	}
	_, err = r.removeTree(ctx, op, name, m)
	return err // not found: somebody else removed it meanwhile
}

// refuseInstance refuses a name that is an instance's, whose inode is a. A name
// that is only of the grammar is not: a lock file is locked or has its data
// next to it, and data has its lock file.
func (r *Root) refuseInstance(op, name string, a kernel.Attributes) error {
	id, lock, ok := parseName(name, true)
	other, wanted := lockName(id), fs.FileMode(0)
	if lock {
		other, wanted = dataName(id), fs.ModeDir
	}
	if !ok || lock && a.Mode != 0 || !lock && a.Mode != fs.ModeDir {
		return nil
	}
	refusal := &Error{Op: op, Path: r.join(name), Kind: errInstance}
	beside, err := r.kernel.StatName(r.fd, other)
	switch {
	case err == nil && beside.Mode == wanted:
		return refusal
	case err != nil && !is("StatName", err, gone):
		return r.explainIn(op, other, "StatName", err) // nobody knows
	case !lock:
		return nil
	}
	if held, err := r.heldHere(name); err != nil || held {
		return refusal
	}
	fd, err := r.kernel.OpenToInspect(r.fd, name)
	switch {
	case is("OpenToInspect", err, gone):
		return nil
	case err != nil && int(a.UID) == os.Geteuid():
		return nil // its owner can open a lock file
	case err != nil:
		return r.explainIn(op, name, "OpenToInspect", err)
	}
	defer r.letGo(fd)
	holder, err := r.kernel.LockHolder(fd)
	switch {
	case err != nil:
		return r.explainIn(op, name, "LockHolder", err)
	case holder.Held:
		return refusal
	}
	return nil
}
