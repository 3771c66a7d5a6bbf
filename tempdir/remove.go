//go:build linux

package tempdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

const (
	// maxDepth bounds how many directories below the data directory are open at
	// a time. What lies deeper is hoisted, that is renamed up into the data
	// directory, and removed from there; so descriptors and memory do not grow
	// with the depth of the tree, and the order survives a crash by itself.
	maxDepth = 32

	// idleScans bounds how often a directory is listed again that is not empty
	// and in which a listing found nothing to remove; scans bounds it in all. A
	// file system may skip names while others are removed, and another process
	// may still be adding some.
	idleScans = 3
	scans     = 1000

	// traversable is the mode of a directory whose own mode kept its entries from
	// being removed: its owner may do everything.
	traversable fs.FileMode = 0o700
)

// removeData removes the data directory of id, which is locked by the caller,
// with everything in it. found is false if there is none, or none any more.
// staged says that something may be in it. The error is a *LeftoverError.
//
// It removes entry after entry and goes on after failures, so that as little as
// possible is left and one call names the reasons. It may be cut off anywhere.
func (r *Root) removeData(ctx context.Context, op, id string, staged bool) (found bool, err error) {
	name := dataName(id)
	if !staged {
		switch err := r.kernel.RemoveData(r.fd, name); {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.ENOENT):
			return false, nil
		}
		// Not empty, or not removable: the long way finds out.
	}
	return r.removeTree(ctx, op, name)
}

// removeTree removes the directory name in the root with everything in it.
func (r *Root) removeTree(ctx context.Context, op, name string) (found bool, err error) {
	v := r.newRemoval(op, name)
	defer v.closeAll()
	fd, err := v.open(-1, name)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		v.left.add(v.explain(-1, name, err))
		return true, &v.left
	}
	v.levels = append(v.levels, level{fd: fd, name: name})
	if !r.ordered {
		// spec: SyncData. Not under anybody's lock (rule 11).
		if err := r.sync(op, fd, r.join(name)); err != nil {
			v.left.add(err)
			return true, &v.left
		}
	}
	for len(v.levels) > 0 {
		if err := ctx.Err(); err != nil {
			v.left.add(&Error{Op: op, Path: r.join(name), Err: err})
			return true, &v.left
		}
		v.step()
	}
	if v.left.Failed > 0 {
		return true, &v.left
	}
	return !v.gone, nil
}

// sync makes the entries of the directory fd durable. EINVAL: the file system
// has nothing to make durable.
func (r *Root) sync(op string, fd int, path string) error {
	err := r.kernel.SyncData(fd)
	if err == nil || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return &Error{Op: op, Path: path, Err: err}
}

// A removal is the state of one walk that removes a data directory.
type removal struct {
	root    *Root
	kernel  Kernel
	op      string
	name    string  // of the data directory
	levels  []level // from the data directory down to where the walk is
	hoisted uint64  // number of the next hoisted directory
	gone    bool    // the data directory was taken away under the walk
	left    LeftoverError
}

// A level is one open directory of the walk.
type level struct {
	fd      int
	name    string
	entries []Entry // what is left of the last batch
	batch   []Entry // its memory, used again
	removed bool    // something was removed, or hoisted into here, since the listing began
	failed  bool    // something in here cannot be removed
	mended  bool    // permissions were changed already
	idle    int     // listings that found nothing to remove
	scans   int
}

func (r *Root) newRemoval(op, name string) *removal {
	return &removal{
		root: r, kernel: r.kernel, op: op, name: name,
		left: LeftoverError{Op: op, Path: r.join(name)},
	}
}

// leftover is the result of a removal that met err, or nil.
func (v *removal) leftover(err error) error {
	if err == nil {
		return nil
	}
	v.left.add(err)
	return &v.left
}

func (v *removal) closeAll() {
	for _, l := range v.levels {
		v.kernel.Close(l.fd)
	}
}

// step deals with one entry of the deepest level, or ends the level.
func (v *removal) step() {
	top := len(v.levels) - 1
	l := &v.levels[top]
	if len(l.entries) == 0 {
		entries, err := v.kernel.List(l.fd, l.batch[:0])
		if errors.Is(err, unix.ENOENT) {
			v.lose(top) // removed while open
			return
		}
		if err != nil {
			v.fail(top, v.explain(top, "", err))
			v.pop(false)
			return
		}
		l.batch, l.entries = entries, entries
		if len(entries) == 0 {
			v.finish(top)
			return
		}
	}
	entry := l.entries[0]
	l.entries = l.entries[1:]
	if entry.Type != fs.ModeDir {
		err := v.remove(top, entry.Name, false)
		if err == nil {
			l.removed = true
			return
		}
		if !errors.Is(err, unix.EISDIR) {
			v.fail(top, err)
			return
		}
	}
	v.descend(top, entry.Name)
}

// descend opens the directory name as the next level, or hoists it.
func (v *removal) descend(top int, name string) {
	if top >= maxDepth && v.hoist(top, name) {
		return
	}
	fd, err := v.open(top, name)
	switch {
	case err == nil:
		v.levels = append(v.levels, level{fd: fd, name: name})
	case errors.Is(err, unix.ENOENT):
		v.levels[top].removed = true
	case errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		// It was a directory when it was listed; somebody put another thing in
		// its place.
		if err := v.remove(top, name, false); err != nil {
			v.fail(top, err)
			return
		}
		v.levels[top].removed = true
	case (errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)) && top > 0 && v.hoist(top, name):
		// No descriptor was left, but this level gives its own back first.
	default:
		v.fail(top, v.explain(top, name, err))
	}
}

// hoist renames the directory name up into the data directory. It reports false
// if that did not work; then the walk goes deeper, as long as descriptors last.
func (v *removal) hoist(top int, name string) bool {
	mended := false
	for {
		hoisted := entryName(v.hoisted, "hoisted")
		v.hoisted++
		err := v.kernel.Hoist(v.levels[top].fd, name, v.levels[0].fd, hoisted)
		switch {
		case err == nil:
			v.levels[top].removed, v.levels[0].removed = true, true
			v.levels[0].scans = 0 // what it has to list again is no stranger's
			return true
		case errors.Is(err, unix.EEXIST):
			continue
		case errors.Is(err, unix.EACCES) && !mended:
			// A directory that moves to another parent must be writable itself.
			mended = true
			v.mendPermissions(top)
			if v.kernel.ChangeMode(v.levels[top].fd, name, traversable) == nil {
				continue
			}
		}
		return false
	}
}

// finish ends the listing of the deepest level: its directory is removed, or
// listed again, or left with what could not be removed.
func (v *removal) finish(top int) {
	l := &v.levels[top]
	if top == 0 && l.removed && l.failed && v.hoisted > 0 && l.scans < scans {
		// Hoisted directories may be waiting; the failures are met again.
		v.left.Failed, v.left.Reasons = 0, nil
		l.failed = false
		v.rescan(top)
		return
	}
	if l.failed {
		v.pop(false)
		return
	}
	err := v.remove(top-1, l.name, true)
	switch {
	case err == nil:
		v.pop(true)
	case !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST):
		v.fail(top, err)
		v.pop(false)
	case l.scans >= scans || !l.removed && l.idle >= idleScans:
		v.fail(top, err)
		v.pop(false)
	default:
		v.rescan(top)
	}
}

// rescan lists the level again from the start, through a new descriptor.
func (v *removal) rescan(top int) {
	l := &v.levels[top]
	if !l.removed {
		l.idle++
	}
	l.scans++
	l.removed = false
	fd, err := v.open(top-1, l.name)
	switch {
	case errors.Is(err, unix.ENOENT):
		v.lose(top)
	case err != nil:
		v.fail(top, v.explain(top-1, l.name, err))
		v.pop(false)
	default:
		v.kernel.Close(l.fd)
		l.fd = fd
	}
}

// lose leaves the deepest level, whose directory somebody else removed.
func (v *removal) lose(top int) {
	v.gone = top == 0
	v.pop(true)
}

// pop leaves the deepest level.
func (v *removal) pop(removed bool) {
	top := len(v.levels) - 1
	v.kernel.Close(v.levels[top].fd)
	v.levels = v.levels[:top]
	if top > 0 {
		if removed {
			v.levels[top-1].removed = true
		} else {
			v.levels[top-1].failed = true
		}
	}
}

// fail counts one name that cannot be removed: one in the level, or the level's
// own directory.
func (v *removal) fail(top int, err error) {
	v.levels[top].failed = true
	v.left.add(err)
}

// dir is the descriptor of the level; level -1 is the root.
func (v *removal) dir(top int) int {
	if top < 0 {
		return v.root.fd
	}
	return v.levels[top].fd
}

// open opens the directory name in the level, after mending its permissions if
// need be.
func (v *removal) open(top int, name string) (int, error) {
	fd, err := v.kernel.OpenDirectory(v.dir(top), name)
	if errors.Is(err, unix.EACCES) {
		v.mendPermissions(top) // the level may not be searchable either
		if mendErr := v.kernel.ChangeMode(v.dir(top), name, traversable); mendErr != nil {
			return -1, unmended(err, mendErr)
		}
		fd, err = v.kernel.OpenDirectory(v.dir(top), name)
	}
	return fd, err
}

// unmended is err, with the reason why what it is about could not be mended.
func unmended(err, mendErr error) error {
	return fmt.Errorf("%w (its mode cannot be changed: %w)", err, mendErr)
}

// remove unlinks name in the level, after mending what keeps it from being
// removed. That it is gone is success: somebody else removed it.
func (v *removal) remove(top int, name string, directory bool) error {
	for attempt := 0; ; attempt++ {
		var err error
		switch {
		case !directory:
			err = v.kernel.RemoveEntry(v.dir(top), name) // spec: RemoveEntry
		case top < 0:
			err = v.kernel.RemoveData(v.dir(top), name) // spec: RemoveData
		default:
			err = v.kernel.RemoveDirectory(v.dir(top), name) // spec: RemoveEntry
		}
		switch {
		case err == nil, errors.Is(err, unix.ENOENT):
			return nil
		case attempt == 0 && errors.Is(err, unix.EACCES):
			if mended, mendErr := v.mendPermissions(top); mendErr != nil {
				return v.explain(top, name, unmended(err, mendErr))
			} else if !mended {
				return v.explain(top, name, err)
			}
		case attempt == 0 && errors.Is(err, unix.EPERM) && v.clearFlags(top, name):
		default:
			return v.explain(top, name, err)
		}
	}
}

// mendPermissions makes the level's directory writable, once. Nobody needs its
// mode any more. Modes of files are left alone: a file may have other names.
func (v *removal) mendPermissions(top int) (mended bool, err error) {
	if top < 0 || v.levels[top].mended {
		return false, nil // the root is not ours to change
	}
	v.levels[top].mended = true
	err = v.kernel.ChangeMode(v.dir(top-1), v.levels[top].name, traversable)
	return err == nil, err
}

// clearFlags clears the flags of name and of the level's directory that keep
// name from being removed, if the caller of Open asked for that.
func (v *removal) clearFlags(top int, name string) bool {
	if !v.root.options.clearFlags {
		return false
	}
	cleared := false
	if a, err := v.kernel.StatName(v.dir(top), name); err == nil && a.Immutable {
		_, err := v.kernel.ClearFlags(v.dir(top), name)
		cleared = err == nil
	}
	if top >= 0 {
		l := v.levels[top]
		if a, err := v.kernel.StatName(v.dir(top-1), l.name); err == nil && a.Immutable {
			_, err := v.kernel.ClearFlags(v.dir(top-1), l.name)
			cleared = err == nil || cleared
		}
	}
	return cleared
}

// explain finds out what an errno about name in the level was about, and names
// the path. An empty name is the level's directory itself.
func (v *removal) explain(top int, name string, err error) error {
	path := []string{}
	for _, l := range v.levels[:top+1] {
		path = append(path, l.name)
	}
	failure := &Error{Op: v.op, Path: v.root.join(append(path, name)...), Err: err}
	switch {
	case errors.Is(err, unix.EXDEV):
		failure.Kind = ErrMountPoint
	case errors.Is(err, unix.EBUSY):
		failure.Kind = v.root.mountKind(v.dir(top), name)
	case errors.Is(err, unix.EPERM):
		at, aerr := v.kernel.StatName(v.dir(top), name)
		in, ierr := v.kernel.Stat(v.dir(top))
		if aerr == nil && at.Immutable || ierr == nil && in.Immutable {
			failure.Kind = ErrImmutable
		}
	case top < 0 && (errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP)):
		failure.Kind = ErrForeign
	}
	return failure
}
