//go:build linux

package tempdir

import (
	"errors"

	"golang.org/x/sys/unix"
)

// createAttempts bounds how often Create draws another id. On the usual path a
// second one is never needed; on the fallback path a recoverer may take a lock
// file that is being born, which costs the attempt and nothing else.
const createAttempts = 100

// errTaken says that a lock file went to somebody else; the next id may not.
var errTaken = errors.New("every id drawn was taken by another process")

// Create makes a new, live, empty instance.
//
// It makes five system calls: openat (O_TMPFILE), fcntl (F_OFD_SETLK), pwrite,
// linkat, mkdirat (spec: OpenUnnamed, TakeLock, WriteOwner, LinkLock, MakeData).
// The lock file appears with its lock taken, so Create may be called before the
// store lock is taken, while others recover. On file systems without O_TMPFILE
// it is openat (O_EXCL), fcntl and a recheck (spec: CreateLock, TakeLock, Stat,
// StatName) in place of the first, second and fourth.
//
// A crash leaves nothing, a stale lock file, or a stale empty instance; any
// [Root.Recover] removes it. If Create fails it leaves nothing, or what a crash
// leaves. An owner record that cannot be written (full disk) is left out.
//
// The instance holds one descriptor and is live until [Dir.Close] or until the
// process ends. A Dir that is dropped without Close stays live: its data is
// never taken for stale behind the caller's back.
func (r *Root) Create() (*Dir, error) {
	const op = "create"
	if err := r.acquire(op); err != nil {
		return nil, err
	}
	id, lock, err := r.publish(op)
	if err != nil {
		r.release()
		return nil, err
	}
	// spec: MakeData. EEXIST is an error: a directory that is there already is
	// not this instance's.
	if err := r.kernel.MakeData(r.fd, dataName(id)); err != nil {
		err = errors.Join(r.rootErr(op, dataName(id), err), r.removeLock(op, id, lock))
		r.release()
		return nil, err
	}
	return &Dir{root: r, id: id, lock: lock}, nil
}

// publish draws an id and makes its lock file, with the lock held.
func (r *Root) publish(op string) (id string, lock int, err error) {
	for range createAttempts {
		id = newID()
		lock, err = r.publishLocked(lockName(id))
		if !errors.Is(err, errTaken) {
			break
		}
	}
	if err != nil {
		return "", -1, r.rootErr(op, lockName(id), err)
	}
	return id, lock, nil
}

// publishLocked makes the lock file name appear with its lock held (rule 1), or
// returns errTaken if somebody else has the name or took the lock.
func (r *Root) publishLocked(name string) (int, error) {
	if r.named.Load() {
		return r.publishNamed(name)
	}
	lock, err := r.kernel.OpenUnnamed(r.fd)
	if err == nil {
		err = r.kernel.TakeLock(lock)
		if err == nil {
			r.writeOwner(lock)
			err = r.kernel.LinkLock(lock, r.fd, name)
		}
		if err == nil {
			return lock, nil
		}
		r.kernel.Close(lock) // the file has no name: this is the end of it
	}
	switch {
	case errors.Is(err, unix.EEXIST):
		return -1, errTaken
	case lacksUnnamed(err):
		r.named.Store(true)
		return r.publishNamed(name)
	}
	return -1, err
}

// lacksUnnamed reports whether err says that O_TMPFILE, or linking such a file,
// does not work here: EISDIR from kernels and EINVAL from file systems that
// never heard of it, ENOENT without /proc. If it was something else, the
// fallback will meet it again and say so.
func lacksUnnamed(err error) bool {
	return isUnsupported(err) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT)
}

// publishNamed is the fallback: the lock file is visible before it is locked,
// so a recoverer may take it for stale, and even unlink it before it is locked
// here. The recheck tells (rule 2).
func (r *Root) publishNamed(name string) (int, error) {
	lock, err := r.kernel.CreateLock(r.fd, name)
	if err != nil {
		if errors.Is(err, unix.EEXIST) {
			err = errTaken
		}
		return -1, err
	}
	ours := false
	if err = r.kernel.TakeLock(lock); err == nil {
		ours, err = r.recheck(lock, name)
	}
	if err == nil && ours {
		r.writeOwner(lock)
		return lock, nil
	}
	// The name stays: it may be a recoverer's by now, and if it is not, it is a
	// stale lock file like any other (rule 4).
	r.kernel.Close(lock)
	if err == nil || isBusy(err) {
		err = errTaken
	}
	return -1, err
}

// writeOwner fills in the lock file for people. It is not worth a failure: on a
// full disk a deletion matters more.
func (r *Root) writeOwner(lock int) {
	_ = r.kernel.WriteOwner(lock, r.record)
}

// isBusy reports whether TakeLock failed because the lock is held; POSIX allows
// either errno. Anything else is a real failure, not a live instance.
func isBusy(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES)
}
