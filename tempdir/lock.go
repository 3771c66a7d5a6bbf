//go:build linux

package tempdir

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// A Lock is a lock file whose lock this process holds. It is what instances are
// made of; on its own it guards something that lies elsewhere, such as another
// kind of staging directory. Use names that are none of an instance, or
// [Root.Recover] will take the file for one.
//
// Unlike an id, such a name may be used again. The recheck then needs a file
// system that finds open files by inode; a FUSE server that finds them by path
// can answer for another file.
//
// The lock is held until [Lock.Delete], or until the process ends; a Lock that
// is dropped stays held. It belongs to one goroutine.
type Lock struct {
	root *Root
	name string
	fd   int // -1 once deleted
}

// CreateLock makes the lock file name in the root, with its lock held.
//
// The file appears with its lock taken (spec: OpenUnnamed, TakeLock, LinkLock);
// where O_TMPFILE is not supported, it is locked and rechecked right after (spec:
// CreateLock, TakeLock, StatName). If somebody else has the name, or takes the
// lock first, the error matches [io/fs.ErrExist]. A failure leaves nothing or,
// without O_TMPFILE, a file that is not locked; so does a crash.
func (r *Root) CreateLock(name string) (*Lock, error) {
	return r.newLock("create lock", name, func(op string) (int, error) {
		fd, err := r.publishLocked(op, name)
		if err == errTaken {
			err = &Error{Op: op, Path: r.join(name), Err: unix.EEXIST}
		}
		return fd, err
	})
}

// TryLock takes the lock of the existing lock file name in the root, and never
// waits or creates (spec: OpenLock, TakeLock, StatName). If processes of the
// released containers/storage lock the name too, the root has to be opened with
// [MixedFleet]: a failed try could otherwise take the lock away from an owner in
// this process.
//
// Errors match [ErrHeld], [io/fs.ErrNotExist] (there is no such file, or there
// is none any more: the lock would have been a ghost lock), [ErrForeign]: what
// is there is not a regular file with one name, or [ErrMountPoint]. It was not
// touched then.
func (r *Root) TryLock(name string) (*Lock, error) {
	return r.newLock("try lock", name, func(op string) (int, error) {
		fd, err := r.tryLock(op, name)
		switch err {
		case ErrHeld:
			err = &Error{Op: op, Path: r.join(name), Kind: ErrHeld}
		case unix.ENOENT, errDenied:
			err = &Error{Op: op, Path: r.join(name), Err: err}
		}
		return fd, err
	})
}

// newLock wraps the descriptor that take returns.
func (r *Root) newLock(op, name string, take func(op string) (int, error)) (*Lock, error) {
	if dir, last := splitPath(name); dir != "./" || last != name {
		return nil, &Error{Op: op, Path: name, Kind: errNoName, Err: unix.EINVAL}
	} else if err := refuseNoName(op, name, last); err != nil {
		return nil, err
	}
	if err := r.acquire(op); err != nil {
		return nil, err
	}
	fd, err := take(op)
	if err != nil {
		r.release()
		return nil, err
	}
	return &Lock{root: r, name: name, fd: fd}, nil
}

// Delete rechecks that the name still is the file whose lock is held, unlinks
// it and releases the lock, in this order (spec: StatName, RemoveLock, Close).
//
// If the name is gone or somebody else's, nothing is unlinked and the error is
// [ErrInstanceGone]. The lock is released whatever Delete returns; calling it
// again returns [ErrClosed].
func (l *Lock) Delete() error {
	const op = "delete lock"
	if l.fd < 0 {
		return &Error{Op: op, Path: l.root.join(l.name), Kind: ErrClosed}
	}
	err := l.root.removeLock(op, l.name, l.fd)
	l.fd = -1
	l.root.release()
	return err
}

// errTaken says that a lock file went to somebody else; another id may not.
var errTaken = errors.New("taken by another process")

// errDenied is the errno of a lock file that only its owner, another user, can
// open.
var errDenied error = unix.EACCES

// publishLocked makes the lock file name appear with its lock held (rule 1). The
// error is errTaken, bare, if somebody else has the name or took the lock.
func (r *Root) publishLocked(op, name string) (int, error) {
	if r.named.Load() {
		return r.publishNamed(op, name)
	}
	lock, err := r.kernel.OpenUnnamed(r.fd)
	call := "OpenUnnamed"
	if err == nil {
		err = r.kernel.TakeLock(lock)
		call = "TakeLock"
		if err == nil {
			r.writeOwner(lock)
			err = r.kernel.LinkLock(lock, r.fd, name)
			call = "LinkLock"
		}
		if err == nil {
			return lock, nil
		}
		r.kernel.Close(lock) // the file has no name: this is the end of it
	}
	switch meaningOf(call, err).meaning {
	case taken:
		return -1, errTaken
	case fallBack:
		// If it was something else than what files without a name cannot do here,
		// the fallback meets it again and says so.
		lock, err = r.publishNamed(op, name)
		if err == nil || err == errTaken {
			r.named.Store(true)
		}
		return lock, err
	}
	return -1, r.explainIn(op, name, call, err)
}

// publishNamed is the fallback: the lock file is visible before it is locked,
// so a recoverer may take it for stale, and even unlink it before it is locked
// here. The recheck tells (rule 2).
func (r *Root) publishNamed(op, name string) (int, error) {
	lock, err := r.kernel.CreateLock(r.fd, name)
	switch {
	case is("CreateLock", err, taken):
		return -1, errTaken
	case err != nil:
		return -1, r.explainIn(op, name, "CreateLock", err)
	}
	err = r.kernel.TakeLock(lock)
	if err == nil {
		ours, err := r.recheck(lock, name)
		if err == nil && ours {
			r.writeOwner(lock)
			return lock, nil
		}
		r.kernel.Close(lock) // what has the name, if it is there, is a stranger's
		if err == nil {
			err = errTaken
		} else {
			err = r.explainIn(op, name, "StatName", err)
		}
		return -1, err
	}
	if is("TakeLock", err, noLocks) {
		r.unpublish(lock, name, err)
	}
	// Otherwise the name stays: it may be a recoverer's by now, and if it is not,
	// it is a stale lock file like any other (rule 4).
	r.letGo(lock)
	if is("TakeLock", err, taken) {
		return -1, errTaken
	}
	return -1, r.explainIn(op, name, "TakeLock", err)
}

// unpublish removes a lock file that was made where no locks are to be had, so
// that nobody can have taken it: every try would leave one more. If only this
// process may not lock, a recoverer may have it; then that unlinks the same name,
// which is never used again. Other names than an instance's may be.
func (r *Root) unpublish(lock int, name string, err error) {
	if _, _, ok := parseName(name, true); !ok && (err == unix.EPERM || err == unix.EACCES) {
		return
	}
	if holder, err := r.kernel.LockHolder(lock); err == nil && holder.Held {
		return
	}
	if ours, err := r.recheck(lock, name); err == nil && ours {
		_ = r.kernel.RemoveLock(r.fd, name)
	}
}

// explainIn explains a refusal to make, open or unlink name in the root.
func (r *Root) explainIn(op, name, call string, err error) error {
	return r.explain(Error{Op: op, Path: r.join(name)}, call, err, nil, place{r.fd, name}, place{r.fd, "."})
}

// writeOwner fills in the lock file for people. It is not worth a failure: on a
// full disk a deletion matters more.
func (r *Root) writeOwner(lock int) {
	_ = r.kernel.WriteOwner(lock, r.record)
}

// tryLock takes the lock of an existing lock file. The answers that are no
// failures come bare, because recovery gets one for every live instance: ErrHeld,
// unix.ENOENT if there is no such name, or none any more, and errDenied.
func (r *Root) tryLock(op, name string) (int, error) {
	if held, err := r.heldHere(name); err != nil {
		return -1, r.explainIn(op, name, "LockHolder", err)
	} else if held {
		return -1, ErrHeld
	}
	// spec: OpenLock. Without O_CREAT: a name that is gone stays gone (rule 3).
	lock, err := r.kernel.OpenLock(r.fd, name)
	if is("OpenLock", err, mended) && r.clearFlags(place{r.fd, name}) {
		lock, err = r.kernel.OpenLock(r.fd, name)
	}
	switch {
	case is("OpenLock", err, gone):
		return -1, unix.ENOENT
	case is("OpenLock", err, denied):
		// Who owns the file decides: another user's is as if it were not there.
		if a, statErr := r.kernel.StatName(r.fd, name); statErr == nil && int(a.UID) != os.Geteuid() {
			return -1, errDenied
		}
	}
	if err != nil {
		return -1, r.explainIn(op, name, "OpenLock", err)
	}
	if locked, err := r.claim(op, lock, name); err != nil {
		if locked {
			r.kernel.Close(lock)
		} else {
			r.letGo(lock)
		}
		return -1, err
	}
	return lock, nil
}

// claim takes the lock of the descriptor and rechecks it.
func (r *Root) claim(op string, lock int, name string) (locked bool, err error) {
	failure := func(kind, err error) error {
		return &Error{Op: op, Path: r.join(name), Kind: kind, Err: err}
	}
	held, err := r.kernel.Stat(lock)
	switch {
	case err != nil:
		return false, r.explainIn(op, name, "Stat", err)
	case held.Mode != 0:
		return false, failure(ErrForeign, nil)
	case held.Links > 1:
		// No lock file of ours ever has two names. This one is somebody else's
		// file as well, which may be locked for other reasons.
		return false, failure(ErrForeign, unix.EMLINK)
	}
	if err := r.kernel.TakeLock(lock); err != nil {
		if is("TakeLock", err, taken) {
			return false, ErrHeld
		}
		return false, r.explainIn(op, name, "TakeLock", err) // not being able to lock is not being live
	}
	// spec: StatName. The lock may be a ghost lock: its last holder may
	// have unlinked the file between our open and our lock (rule 2).
	ours, err := r.recheck(lock, name)
	switch {
	case err != nil:
		return true, r.explainIn(op, name, "StatName", err)
	case !ours:
		return true, unix.ENOENT
	}
	return true, nil
}

// recheck is rule 2: it reports whether name still refers to the inode that fd
// holds. While fd is open its inode number cannot be reused, so equal numbers
// mean one inode, and one that has a name (rule 7).
func (r *Root) recheck(fd int, name string) (bool, error) {
	held, err := r.kernel.Stat(fd)
	if err != nil {
		return false, err
	}
	named, err := r.kernel.StatName(r.fd, name)
	if is("StatName", err, gone) {
		return false, nil
	}
	return err == nil && held.Links > 0 && held.Same(named), err
}

// removeLock is the last step of every instance and of [Lock.Delete]: recheck,
// unlink the lock file and close it. Only the holder whose descriptor still has
// the name may unlink it (rule 4); if it has not, the error is ErrInstanceGone
// and the name, if there is one, is a stranger's.
func (r *Root) removeLock(op, name string, lock int) error {
	ours, err := r.recheck(lock, name)
	if err == nil && ours {
		err = r.kernel.RemoveLock(r.fd, name)
		if is("RemoveLock", err, mended) && r.clearFlags(place{r.fd, name}) {
			err = r.kernel.RemoveLock(r.fd, name)
		}
		if is("RemoveLock", err, gone) {
			err = nil // a stranger was faster; the name is gone all the same
		}
	}
	r.kernel.Close(lock)
	switch {
	case err != nil:
		return r.explainIn(op, name, "RemoveLock", err)
	case !ours:
		return &Error{Op: op, Path: r.join(name), Kind: ErrInstanceGone}
	}
	return nil
}
