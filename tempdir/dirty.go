//go:build linux

package tempdir

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/kernel"
)

// clockGrain bounds how old a time stamp has to be before it can be trusted. The
// kernel stamps a directory with a clock that ticks every 1 to 10 ms, the
// coarsest file systems keep 2 s.
const clockGrain = 3 * time.Second

// MaybeDirty reports whether [Root.Recover] may find something, with one system
// call (spec: Stat of the root). It is for processes that look every few
// seconds: false makes the listing unnecessary.
//
// It answers false only if an earlier MaybeDirty, a Recover after it that found
// no instance at all, and this call all saw one and the same time of change. An
// instance has a name in the root from before its data until after it, so one
// that was not there at that listing had to be linked into the root since. That
// stamps the root with the time of the link. Two different changes can have the
// same stamp if they fall into one tick of the clock, or into one unit of the
// file system's; so a stamp counts only if it was older than 3 s when it was
// first seen. Every later change then has a later stamp.
//
// A live instance that Recover skipped keeps the root dirty, because its owner
// can die without changing anything on disk.
//
// It is a hint. Where stamps come from another clock than this host's (network
// file systems), or after the clock was set back, a change can go unseen: call
// Recover every few minutes whatever it says. The error is [ErrRootGone] or
// [ErrClosed], or the errno; the answer is true then.
func (r *Root) MaybeDirty() (bool, error) {
	const op = "maybe dirty"
	if err := r.acquire(op); err != nil {
		return true, err
	}
	defer r.release()
	seen, err := r.kernel.Stat(r.fd)
	switch {
	case err != nil:
		return true, r.explainIn(op, ".", "Stat", err)
	case seen.Links == 0:
		return true, &Error{Op: op, Path: r.path, Kind: ErrRootGone}
	}
	if empty := r.empty.Load(); empty != nil && empty.Equal(seen.Changed) {
		return false, nil
	}
	// The clock may be asked after the Stat: Recover loads the candidate before it lists,
	// so that what its listing misses came after both, and has a later stamp.
	if r.options.now().Sub(seen.Changed) > clockGrain {
		candidate := seen.Changed // on the heap only here
		r.candidate.Store(&candidate)
	} else {
		r.candidate.Store(nil)
	}
	return true, nil
}

// Ordered reports whether the file system makes renames durable before any later
// change of names on it, so that nothing has to be synced for their order. It
// is known for ext4, xfs and tmpfs.
func (r *Root) Ordered() bool { return r.ordered }

// Sync makes what was staged so far durable: after power loss no victim is back
// under its old name (spec: SyncSource, SyncRecord). It waits for the disk. A store
// that forgets a victim after staging it needs this where the file system does not
// order the two, see [Root.Ordered], or where they are on two file systems.
//
// It is one fsync, of the instance's directory. Where the file system does not order
// names, there is one more for each directory that was left by what is no directory:
// on btrfs a file can be under both names otherwise (see docs/litmus.md). If that is
// not where the victim's path says any more, it is a syncfs.
//
// Errors match [ErrClosed] or [ErrInstanceGone], or are an errno; what was not made durable
// then is tried again by the next Sync. Calls may come together, and with those that stage:
// what is staged meanwhile is for the next one.
func (d *Dir) Sync() error {
	const op = "sync"
	fd, err := d.openData(op)
	if err != nil {
		return err
	}
	defer d.root.kernel.Close(fd)
	d.mu.Lock()
	left, before := d.left, d.synced
	d.mu.Unlock()
	type inode struct{ device, number uint64 }
	done := map[inode]bool{}
	for i := range left {
		v := &left[i]
		seen, err := d.root.kernel.StatName(d.root.fd, v.entry)
		if err != nil && !is("StatName", err, gone) {
			return d.root.explainIn(op, v.entry, "StatName", err)
		}
		source := inode{v.at.Device, v.at.Inode}
		if seen.Mode == fs.ModeDir || done[source] {
			continue
		}
		found, err := d.root.syncSource(op, v)
		if err != nil {
			return err
		}
		if !found {
			if err := d.root.kernel.SyncAll(fd); err != nil {
				return &Error{Op: op, Path: v.source, Err: err}
			}
			break
		}
		done[source] = true
	}
	if err := d.root.sync(op, fd, d.dataPath()); err != nil { // nobody waits for the disk with it
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if more := before + len(left) - d.synced; more > 0 {
		d.left, d.synced = d.left[more:], d.synced+more
	}
	return nil
}

// A departure is that a victim left a directory and became an entry.
type departure struct {
	entry, source string
	at            kernel.Attributes // of source, before
}

// syncSource makes durable that the victim left its directory. found is false if that
// is not at its path any more, or cannot be opened there.
//
// The directory is known by a number that was remembered, and not held: another one that
// has the number by now will do as well (against rule 7). It has that number only because
// the first one was removed, and once it is durable itself the first one is not on disk any
// more, with whatever name it had of the victim.
func (r *Root) syncSource(op string, v *departure) (found bool, err error) {
	fd, err := r.kernel.OpenParent(v.source + ".")
	if err == nil {
		defer r.kernel.Close(fd)
		fd, err = r.kernel.OpenDirectory(fd, ".") // what is open to reach names cannot be synced
	}
	switch err {
	case nil:
	case unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EACCES:
		return false, nil
	default:
		return false, &Error{Op: op, Path: v.source, Err: err}
	}
	defer r.kernel.Close(fd)
	now, err := r.kernel.Stat(fd)
	if err != nil {
		return false, &Error{Op: op, Path: v.source, Err: err}
	}
	return now.Same(v.at), r.sync(op, fd, v.source)
}

// openData opens the data directory of the live instance.
func (d *Dir) openData(op string) (fd int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return -1, &Error{Op: op, Path: d.dataPath(), Kind: ErrClosed}
	}
	fd, err = d.root.kernel.OpenDirectory(d.root.fd, dataName(d.id))
	if err != nil {
		if gone := d.instanceGone(op); gone != nil {
			return -1, gone
		}
		return -1, d.root.explainIn(op, dataName(d.id), "OpenDirectory", err)
	}
	return fd, nil
}
