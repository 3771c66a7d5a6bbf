//go:build linux

package tempdir

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// Remove removes path where it is, with everything in it: for what cannot be
// staged, because the disk is full or because it lies behind another mount. It
// needs neither free space nor a root.
//
// It takes the same care as [Dir.Close]: no symbolic link in the last element of
// path or below it is followed, no mount is crossed, and modes of directories
// that are in the way are changed; [ClearFlags] and [DetachMounts] apply, and so
// does [WithKernel]. Links in the parent of path are followed once. What cannot
// be removed is reported as a [*LeftoverError].
//
// There is no lock, no entry and nobody to finish after a crash, which leaves
// what was not removed yet under its name. Excluding others, and finishing, is
// for the caller. The cost is that of the unlinks.
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
	r := &Root{options: newOptions(opts), path: strings.TrimSuffix(dir, "/"), ordered: true}
	r.kernel = r.options.kernel
	if !strings.Contains(path, "/") {
		r.path = ""
	}
	var err error
	r.fd, _, err = r.kernel.OpenRoot(dir + ".")
	switch {
	case err == unix.ENOENT:
		return &Error{Op: op, Path: path, Kind: ErrVictimGone, Err: err}
	case err != nil:
		return &Error{Op: op, Path: path, Err: err}
	}
	defer r.kernel.Close(r.fd)
	return r.removeInPlace(ctx, op, path, name)
}

// removeInPlace removes name, which is directly in the root.
func (r *Root) removeInPlace(ctx context.Context, op, path, name string) error {
	v := r.newRemoval(op, name)
	a, err := r.kernel.StatName(r.fd, name)
	switch {
	case err == unix.ENOENT:
		return &Error{Op: op, Path: path, Kind: ErrVictimGone, Err: err}
	case err != nil:
		return v.leftover(v.explain(-1, name, err))
	case strings.HasSuffix(path, "/") && a.Mode != fs.ModeDir:
		return &Error{Op: op, Path: path, Err: unix.ENOTDIR}
	}
	if err := r.refuseInstance(op, name, a); err != nil {
		return err
	}
	if a.Mode != fs.ModeDir {
		err := v.remove(-1, name, false)
		if !errors.Is(err, unix.EISDIR) {
			return v.leftover(err)
		}
	}
	_, err = r.removeTree(ctx, op, name)
	return err // not found: somebody else removed it meanwhile
}

// refuseInstance refuses a name that is an instance's, whose inode is a. A name
// that is only of the grammar is not: a lock file is locked or has its data
// beside it, and data has its lock file beside it.
func (r *Root) refuseInstance(op, name string, a Attributes) error {
	id, lock, ok := parseName(name, true)
	other, wanted := lockName(id), fs.FileMode(0)
	if lock {
		other, wanted = dataName(id), fs.ModeDir
	}
	if !ok || lock && a.Mode != 0 || !lock && a.Mode != fs.ModeDir {
		return nil
	}
	refusal := &Error{Op: op, Path: r.join(name), Kind: ErrForeign}
	beside, err := r.kernel.StatName(r.fd, other)
	switch {
	case err == nil && beside.Mode == wanted:
		return refusal
	case err != nil && err != unix.ENOENT:
		return &Error{Op: op, Path: r.join(other), Err: err} // nobody knows
	case !lock:
		return nil
	}
	fd, err := r.kernel.OpenToInspect(r.fd, name)
	if err == unix.ENOENT {
		return nil
	}
	var holder Holder
	if err == nil {
		defer r.kernel.Close(fd)
		holder, err = r.kernel.LockHolder(fd)
	}
	switch {
	case err != nil:
		return &Error{Op: op, Path: r.join(name), Err: err}
	case holder.Held:
		return refusal
	}
	return nil
}
