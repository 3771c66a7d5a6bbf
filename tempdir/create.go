//go:build linux

package tempdir

import "errors"

// createAttempts bounds how often Create draws another id. On the usual path a
// second one is never needed; on the fallback path a recoverer may take a lock
// file that is being born, which costs the attempt and nothing else.
const createAttempts = 100

// Create makes a new, live, empty instance.
//
// It makes five system calls: openat (O_TMPFILE), fcntl (F_OFD_SETLK), pwrite,
// linkat, mkdirat (spec: OpenUnnamed, TakeLock, WriteOwner, LinkLock, MakeData);
// before them the id is read with getrandom, which newer kernels answer without one.
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
		err = errors.Join(r.explainIn(op, dataName(id), "MakeData", err), r.removeLock(op, lockName(id), lock))
		r.release()
		return nil, err
	}
	return &Dir{root: r, id: id, lock: lock}, nil
}

// publish draws an id and makes its lock file, with the lock held.
func (r *Root) publish(op string) (id string, lock int, err error) {
	for range createAttempts {
		id = newID()
		lock, err = r.publishLocked(op, lockName(id))
		if err != errTaken {
			break
		}
	}
	if err == errTaken {
		err = &Error{Op: op, Path: r.join(lockName(id)), Err: err}
	}
	return id, lock, err
}
