//go:build linux

package tempdir

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/afterlock/afterlock/internal/kernel"
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

	// hoistAttempts bounds how many names are tried for a hoisted directory, and
	// mountsAtAName how many mounts are detached that are stacked on one name.
	hoistAttempts = 64
	mountsAtAName = 1000

	// mendings bounds how often what is in the way of one name is mended: the mode
	// and the flag of its directory, a mount on it, and the flag of what that hid.
	mendings = 4
)

// removeData removes the data directory of id, which is locked by the caller,
// with everything in it. found is false if there is none, or none any more.
// staged says that something may be in it. The error is a *LeftoverError. What is
// removed is counted by the meter.
//
// It removes entry after entry and goes on after failures, so that as little as
// possible is left and one call names the reasons. It may be cut off anywhere.
func (r *Root) removeData(ctx context.Context, op, id string, staged bool, m *meter) (found bool, err error) {
	name := dataName(id)
	if !staged {
		err := r.kernel.RemoveData(r.fd, name)
		if err == nil {
			return true, nil
		}
		if is("RemoveData", err, gone) && r.newRemoval(op, name, m).hidden(-1, name) == nil {
			return false, nil
		}
		// Not empty, or not removable: the long way finds out.
	}
	return r.removeTree(ctx, op, name, m)
}

// removeTree removes the directory name in the root with everything in it.
func (r *Root) removeTree(ctx context.Context, op, name string, m *meter) (found bool, err error) {
	v := r.newRemoval(op, name, m)
	v.ctx = ctx
	defer v.closeAll()
	fd, err, why := v.open(-1, name)
	if is("OpenDirectory", err, gone) {
		return false, v.leftover(v.hidden(-1, name))
	}
	if r.parent && v.removedUnread(-1, name, "RemoveData", err) {
		v.tally()
		return true, nil
	}
	if err != nil {
		return true, v.leftover(v.explain(-1, name, "OpenDirectory", err, why))
	}
	v.push(fd, name)
	if !r.ordered {
		// spec: SyncData. Not under anybody's lock (rule 11).
		if err := r.sync(op, fd, r.join(name)); err != nil {
			return true, v.leftover(err)
		}
	}
	v.run(v)
	for _, walk := range v.walks {
		walk.tally() // it did not come to its end
	}
	if v.left.Failed > 0 {
		return true, &v.left
	}
	return !v.gone, nil
}

// sync makes the entries of the directory fd durable.
func (r *Root) sync(op string, fd int, path string) error {
	err := r.kernel.SyncData(fd)
	if err == nil || is("SyncData", err, ignored) {
		return nil
	}
	return r.explain(Error{Op: op, Path: path}, "SyncData", err, nil, place{fd, "."})
}

// A removal is the state of one walk: of the first one, that removes a data directory,
// or of one that removes a directory below it which another walk has lent, see [crew].
type removal struct {
	*crew
	levels   []level        // from the data directory down to where the walk is
	base     int            // the levels above this one are the lender's: only their fd and name are used
	borrowed []string       // directories in the last of these, that the walk has not begun
	to       *lent          // where the lender waits; nil: of the first walk
	dirs     []kernel.Entry // memory for arrange
	gather   int            // how many entries are listed before they are removed
	due      int            // removals until they are counted
	names    int64          // removed since the last tally
	bytes    int64          // that were allocated for them
	raised   bool           // something was hoisted
	gone     bool           // the data directory was taken away under the walk
}

// A level is one open directory of the walk.
type level struct {
	fd      int
	name    string
	entries []kernel.Entry // what is left of the last batch
	batch   []kernel.Entry // its memory, used again
	dirs    int            // directories among the entries
	ended   bool           // the listing is at its end
	lent    *lent          // directories of this level that other walks remove
	removed bool           // something was removed, or hoisted into here, since the listing began
	failed  bool           // something in here cannot be removed
	mended  bool           // permissions were changed already
	idle    int            // listings that found nothing to remove
	scans   int
}

func (r *Root) newRemoval(op, name string, m *meter) *removal {
	v := &removal{crew: newCrew(r, op, name, m), gather: 1, due: r.options.alone}
	v.walks = []*removal{v}
	return v
}

// push is one level more.
func (v *removal) push(fd int, name string) {
	l := level{fd: fd, name: name}
	if top := len(v.levels); top < cap(v.levels) {
		// That of the last directory at this depth.
		if batch := v.levels[:top+1][top].batch; cap(batch) <= keptEntries {
			l.batch = batch
		}
	}
	v.levels = append(v.levels, l)
}

// leftover is the result of a removal that met err, or nil.
func (v *removal) leftover(err error) error {
	if err == nil {
		return nil
	}
	v.left.add(err)
	return &v.left
}

// step deals with one entry of the deepest level, or ends the level. Where it waits
// for another walk, that one goes on with this one, which the caller leaves alone.
func (v *removal) step() (waits bool) {
	top := len(v.levels) - 1
	l := &v.levels[top]
	if len(l.entries) == 0 {
		return v.list(top)
	}
	entry := l.entries[0]
	l.entries = l.entries[1:]
	if entry.Type == fs.ModeDir {
		l.dirs--
	} else {
		err := v.remove(top, entry.Name, "RemoveEntry")
		if err == nil {
			l.removed = true
			v.due--
			return false
		}
		if err != errAnother {
			v.fail(top, err)
			return false
		}
	}
	v.descend(top, entry.Name)
	return false
}

// list lists the next entries of the deepest level; if there are none the level
// ends, once no other walk is below it.
func (v *removal) list(top int) (waits bool) {
	l := &v.levels[top]
	entries, err := l.batch[:0], error(nil)
	gather := v.gather
	for _, above := range v.levels[:top] {
		gather -= len(above.entries)
	}
	for !l.ended && err == nil && len(entries) < max(gather, 1) {
		before := len(entries)
		entries, err = v.kernel.List(l.fd, entries)
		if err != nil {
			entries = entries[:before] // the error is met again
		}
		l.ended = err == nil && len(entries) == before
	}
	l.batch, l.entries = entries, entries
	switch {
	case len(entries) > 0:
		v.arrange(l)
	case !v.collect(top):
		return true
	case is("List", err, gone):
		v.lose(top) // removed while open
	case err != nil:
		v.fail(top, v.explain(top, "", "List", err, nil))
		v.pop(false)
	default:
		v.finish(top)
	}
	return false
}

// descend opens the directory name as the next level, or hoists it.
func (v *removal) descend(top int, name string) {
	if top >= maxDepth && v.hoist(top, name) {
		return
	}
	fd, err, why := v.open(top, name)
	switch {
	case err == nil:
		v.push(fd, name)
	case is("OpenDirectory", err, gone):
		v.levels[top].removed = true
	case is("OpenDirectory", err, another):
		// It was a directory when it was listed; somebody put another thing in
		// its place.
		err := v.remove(top, name, "RemoveEntry")
		if err == errAnother {
			err = v.explain(top, name, "RemoveEntry", unix.EISDIR, nil)
		}
		if err != nil {
			v.fail(top, err)
			return
		}
		v.levels[top].removed = true
	case is("OpenDirectory", err, fallBack) && top > 0 && v.hoist(top, name):
		// No descriptor was left, but this level gives its own back first.
	case v.removedUnread(top, name, "RemoveDirectory", err),
		is("OpenDirectory", err, fallBack) && v.shrink():
		v.levels[top].removed = true // or met again, when other walks gave theirs back
	default:
		v.fail(top, v.explain(top, name, "OpenDirectory", err, why))
	}
}

// removedUnread removes a directory that cannot be opened, and may be empty.
func (v *removal) removedUnread(top int, name, call string, err error) bool {
	return err == unix.EACCES && v.remove(top, name, call) == nil
}

// hoist renames the directory name up into the data directory. It reports false
// if that did not work; then the walk goes deeper, as long as descriptors last.
func (v *removal) hoist(top int, name string) bool {
	var met []error
	stride := uint64(1) // grows, so that what a killed process hoisted is passed quickly
	for range hoistAttempts {
		hoisted := entryName(v.hoisted.Add(1)-1, "hoisted")
		err := v.kernel.Hoist(v.levels[top].fd, name, v.levels[0].fd, hoisted)
		switch {
		case err == nil:
			v.levels[0].removed = true
			v.levels[0].scans = 0 // what it has to list again is no stranger's
			v.raised = true
			return true
		case is("Hoist", err, taken):
			v.hoisted.Add(stride - 1)
			stride *= 2
			continue
		case !is("Hoist", err, mended) || slices.Contains(met, err):
			return false
		case err == unix.EACCES:
			// Both parents, and a directory that moves to another one, must be writable.
			v.mendPermissions(top)
			v.mendPermissions(0)
			_ = v.kernel.ChangeMode(v.levels[top].fd, name, traversable)
		case !v.root.clearFlags(place{v.levels[top].fd, name}, place{v.dir(top - 1), v.levels[top].name}, place{v.root.fd, v.levels[0].name}):
			return false
		}
		met = append(met, err)
	}
	return false
}

// finish ends the listing of the deepest level: its directory is removed, or
// listed again, or left with what could not be removed.
func (v *removal) finish(top int) {
	l := &v.levels[top]
	if top == 0 && l.removed && l.failed && v.hoisted.Load() > 0 && l.scans < scans {
		// Hoisted directories may be waiting; the failures are met again.
		v.left.forget()
		l.failed = false
		v.rescan(top)
		return
	}
	if l.failed {
		v.pop(false)
		return
	}
	call := "RemoveDirectory"
	if top == 0 {
		call = "RemoveData"
	}
	err := v.remove(top-1, l.name, call)
	switch {
	case err == nil:
		v.pop(true)
	case err != errAnother:
		v.fail(top, err)
		v.pop(false)
	case l.scans >= scans || !l.removed && l.idle >= idleScans:
		v.fail(top, v.explain(top-1, l.name, call, unix.ENOTEMPTY, nil))
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
	l.removed, l.ended = false, false
	fd, err, why := v.open(top-1, l.name)
	switch {
	case is("OpenDirectory", err, gone):
		v.lose(top)
	case err != nil:
		v.fail(top, v.explain(top-1, l.name, "OpenDirectory", err, why))
		v.pop(false)
	default:
		v.kernel.Close(l.fd)
		l.fd = fd
	}
}

// lose leaves the deepest level, whose directory somebody else removed.
func (v *removal) lose(top int) {
	if err := v.hidden(top-1, v.levels[top].name); err != nil {
		v.fail(top, err)
		v.pop(false)
		return
	}
	v.gone = top == 0
	v.pop(true)
}

// hidden is an error if name, directly in the root, is there all the same: a call
// that is not about the name did not find it. Deeper, the parent is not empty then.
func (v *removal) hidden(top int, name string) error {
	if top >= 0 {
		return nil
	}
	if _, err := v.kernel.StatName(v.dir(top), name); is("StatName", err, gone) {
		return nil
	}
	return &Error{Op: v.op, Path: v.path(top, name), Err: errThere}
}

// pop leaves the deepest level.
func (v *removal) pop(removed bool) {
	top := len(v.levels) - 1
	v.kernel.Close(v.levels[top].fd)
	v.levels = v.levels[:top]
	if removed {
		v.due--
	}
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
	v.mu.Lock()
	defer v.mu.Unlock()
	v.left.add(err)
}

// dir is the descriptor of the level; level -1 is the root.
func (v *removal) dir(top int) int {
	if top < 0 {
		return v.root.fd
	}
	return v.levels[top].fd
}

// open opens the directory name in the level, after mending what is in the way if
// need be. why says what could not be mended; only err decides anything.
func (v *removal) open(top int, name string) (fd int, err, why error) {
	for met := []error(nil); ; met = append(met, err) {
		fd, err = v.kernel.OpenDirectory(v.dir(top), name)
		if !is("OpenDirectory", err, mended) || slices.Contains(met, err) {
			return fd, err, why
		}
		switch err {
		case unix.EXDEV:
			var tried bool
			if tried, why = v.detach(top, name); !tried {
				return fd, err, nil
			}
		default:
			v.mendPermissions(top) // the level may not be searchable either
			if modeErr := v.kernel.ChangeMode(v.dir(top), name, traversable); modeErr != nil {
				why = v.unchanged("mode", top, name, modeErr)
			}
		}
	}
}

// errAnother says that a name is of another type than was thought, or that a
// directory is not empty.
var errAnother = errors.New("of another type")

// remove unlinks name in the level by the call, after mending what keeps it from
// being removed. That it is gone is success: somebody else removed it. The error
// is explained, or errAnother.
func (v *removal) remove(top int, name, call string) error {
	var why error
	bytes := v.admit(top, name)
	for attempt := 0; ; attempt++ {
		var err error
		switch call {
		case "RemoveEntry":
			err = v.kernel.RemoveEntry(v.dir(top), name)
		case "RemoveDirectory":
			err = v.kernel.RemoveDirectory(v.dir(top), name) // spec: RemoveEntry
		case "RemoveData":
			err = v.kernel.RemoveData(v.dir(top), name)
		}
		switch {
		case err == nil:
			v.counted(top, bytes)
			return nil
		case is(call, err, gone):
			return v.hidden(top, name)
		case is(call, err, another):
			return errAnother
		case attempt >= mendings || !is(call, err, mended):
			return v.explain(top, name, call, err, why)
		}
		var tried bool
		switch err {
		case unix.EACCES:
			tried, why = v.mendPermissions(top)
		case unix.EROFS: // of a subvolume that the walk is in, maybe
			for at := top; at >= 0 && !tried; at-- {
				tried = v.root.clearFlags(place{v.dir(at - 1), v.levels[at].name})
			}
		case unix.EPERM:
			places := []place{{v.dir(top), name}}
			if top >= 0 {
				places = append(places, place{v.dir(top - 1), v.levels[top].name})
			}
			tried = v.root.clearFlags(places...)
			if top < 0 && v.root.parent {
				tried = v.root.clearParent() || tried
			}
			if !tried { // a mount may hide the flag
				tried, why = v.detach(top, name)
			}
		case unix.EBUSY:
			tried, why = v.detach(top, name)
		}
		if !tried {
			return v.explain(top, name, call, err, nil)
		}
	}
}
