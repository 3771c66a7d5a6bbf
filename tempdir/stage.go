//go:build linux

package tempdir

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// stageAttempts bounds how many entry names are tried when somebody has put
// foreign names into the data directory.
const stageAttempts = 100

// A Dir is a live instance: this process holds its lock. Its methods may be
// called concurrently; those that stage and commit wait for each other.
type Dir struct {
	root *Root
	id   string
	lock int // descriptor of the lock file; its open file description holds the lock

	mu     sync.Mutex
	next   uint64 // number of the next entry
	closed bool
}

// ID returns the instance's id, the part that its two names share.
func (d *Dir) ID() string { return d.id }

// StageDeletion moves the victim path, of whatever type, into the instance with
// one renameat2 (spec: StageDeletion). When it returns nil the victim is
// unreachable under its name; [Dir.Close] removes it, and so does any process
// that recovers after a crash.
//
// This is the call to make under the store lock. It does not wait for the disk
// and its cost does not depend on what is below path. A crash leaves the victim
// whole, at either name.
//
// The last element of path is not followed if it is a symbolic link. Renaming a
// directory writes its "..", so the kernel answers EACCES to an ordinary user
// whose victim is a directory without write permission.
//
// Errors match [ErrVictimGone], [ErrCrossDevice], [ErrMountPoint] (path is a
// mount point), [ErrForeign] (path is the lock file or the data directory of an
// instance of this root), [ErrInstanceGone] or [ErrClosed]; the victim is then
// where it was.
func (d *Dir) StageDeletion(path string) error {
	const op = "stage deletion"
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return &Error{Op: op, Path: path, Kind: ErrClosed}
	}
	if err := d.root.refuseOwn(op, path); err != nil {
		return err
	}
	_, hint := splitPath(path)
	for range stageAttempts {
		entry := d.reserve(hint)
		err := d.root.kernel.StageDeletion(path, d.root.fd, entry)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return d.explainDeletion(op, path, entry, err)
		}
	}
	return &Error{Op: op, Path: d.dataPath(), Kind: ErrForeign, Err: unix.EEXIST}
}

// explainDeletion finds out what the errno of a failed rename was about.
func (d *Dir) explainDeletion(op, path, entry string, err error) error {
	failure := &Error{Op: op, Path: path, Err: err}
	switch {
	case errors.Is(err, unix.ENOENT):
		if gone := d.instanceGone(op); gone != nil {
			return gone
		}
		if d.exists(entry) {
			return nil // a network file system sent the rename twice
		}
		failure.Kind = ErrVictimGone
	case errors.Is(err, unix.EXDEV):
		failure.Kind = ErrCrossDevice
	case errors.Is(err, unix.EBUSY):
		failure.Kind = d.root.mountKind(unix.AT_FDCWD, path)
	case errors.Is(err, unix.EINVAL):
		failure.Kind = d.renameKind()
	}
	return failure
}

// An Addition is a path inside an instance at which the caller builds something
// that [Addition.Commit] then puts in place as a whole.
type Addition struct {
	dir       *Dir
	entry     string // below the root
	committed bool   // guarded by dir.mu
}

// StageAddition reserves a path inside the instance. It makes no system call;
// the caller creates a file, a directory or anything else at [Addition.Path].
func (d *Dir) StageAddition() (*Addition, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, &Error{Op: "stage addition", Path: d.dataPath(), Kind: ErrClosed}
	}
	return &Addition{dir: d, entry: d.reserve("addition")}, nil
}

// Path returns the reserved path. It is valid until Commit, or until the
// instance is closed, which removes what is there.
func (a *Addition) Path() string { return a.dir.root.join(a.entry) }

// Commit moves what the caller made at [Addition.Path] to destination with one
// renameat2, never over an existing name (spec: Commit). That rename is the
// linearization point: a crash leaves all of it or nothing at destination.
//
// Commit does not make the content durable. A caller that needs it to survive
// power loss syncs the files before, and the destination's directory after.
//
// Errors match [fs.ErrExist] (destination exists), [ErrNothingStaged],
// [ErrCrossDevice], [ErrInstanceGone], [ErrCommitted], [ErrClosed], or
// [fs.ErrNotExist] with the destination's path (its directory is missing); the
// addition is then where it was and may be committed elsewhere.
func (a *Addition) Commit(destination string) error {
	const op = "commit"
	d := a.dir
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case a.committed:
		return &Error{Op: op, Path: destination, Kind: ErrCommitted}
	case d.closed:
		return &Error{Op: op, Path: destination, Kind: ErrClosed}
	}
	if err := d.root.refuseOwn(op, destination); err != nil {
		return err
	}
	err := d.root.kernel.Commit(d.root.fd, a.entry, destination)
	if err == nil {
		a.committed = true
		return nil
	}
	failure := &Error{Op: op, Path: destination, Err: err}
	switch {
	case errors.Is(err, unix.ENOENT):
		if gone := d.instanceGone(op); gone != nil {
			return gone
		}
		if !d.exists(a.entry) {
			return &Error{Op: op, Path: a.Path(), Kind: ErrNothingStaged, Err: err}
		}
	case errors.Is(err, unix.EXDEV):
		failure.Kind = ErrCrossDevice
	case errors.Is(err, unix.EBUSY):
		failure.Path, failure.Kind = a.Path(), d.root.mountKind(d.root.fd, a.entry)
	case errors.Is(err, unix.EINVAL):
		failure.Kind = d.renameKind()
	}
	return failure
}

// Close removes everything that is staged and the instance with it: call it
// after the store lock is dropped. When it returns nil, nothing of the instance
// is left on disk.
//
// It first makes the renames durable where the file system does not order them
// before unlinks (spec: SyncData), removes the data by descriptors, never
// following a link and never crossing a mount, then rechecks and unlinks the
// lock file and closes it (spec: OpenDirectory, List, RemoveEntry, RemoveData,
// StatName, RemoveLock, Close). The cost is that of the unlinks. A crash at any
// point leaves a stale instance that [Root.Recover] finishes.
//
// If data cannot be removed, or ctx is done first, both names stay on disk, the
// lock is released, and the error is a [*LeftoverError]: any process may finish
// with [Root.Recover], this one included. [ErrInstanceGone] says that somebody
// took the instance away while it was live.
//
// The Dir is closed as soon as Close is called, whatever it returns: all other
// calls return [ErrClosed], also while it is still removing.
func (d *Dir) Close(ctx context.Context) error {
	const op = "close"
	staged, err := d.end(op)
	if err != nil {
		return err
	}
	defer d.root.release()
	found, err := d.root.removeData(ctx, op, d.id, staged)
	if err != nil {
		d.root.kernel.Close(d.lock) // the lock is released; both names stay (rule 5)
		return err
	}
	if !found {
		err = &Error{Op: op, Path: d.dataPath(), Kind: ErrInstanceGone}
	}
	return errors.Join(err, d.root.removeLock(op, lockName(d.id), d.lock))
}

// Release gives the instance up: it releases the lock and leaves both names, so
// that any process may finish with [Root.Recover] (spec: Release). It is for a
// caller that cannot wait for the removal, such as one that holds a store lock:
// it makes one system call and does not wait for the disk.
//
// The Dir is closed then: later calls return [ErrClosed], as Release itself does
// if it comes after [Dir.Close], and what was staged as an [Addition] and not
// committed is removed by recovery. A crash has the same effect as Release.
func (d *Dir) Release() error {
	if _, err := d.end("release"); err != nil {
		return err
	}
	d.root.kernel.Close(d.lock) // whatever it says, the descriptor is closed
	d.root.release()
	return nil
}

// end makes every later call return ErrClosed, so that none of them waits for
// the removal, and reports whether anything was staged.
func (d *Dir) end(op string) (staged bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false, &Error{Op: op, Path: d.dataPath(), Kind: ErrClosed}
	}
	d.closed = true
	return d.next > 0, nil
}

func (d *Dir) dataPath() string { return d.root.join(dataName(d.id)) }

// reserve returns the name of the next entry, below the root.
func (d *Dir) reserve(hint string) string {
	n := d.next
	d.next++
	return dataName(d.id) + "/" + entryName(n, hint)
}

// exists reports whether entry, a path below the root, exists.
func (d *Dir) exists(entry string) bool {
	_, err := d.root.kernel.StatName(d.root.fd, entry)
	return err == nil
}

// instanceGone tells a data directory that is gone from a victim that is gone:
// the kernel answers ENOENT to both (rule 10). Not being able to look is an error
// too, because nobody may be told that a victim is gone which is in its place.
func (d *Dir) instanceGone(op string) error {
	_, err := d.root.kernel.StatName(d.root.fd, dataName(d.id))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOENT):
		return &Error{Op: op, Path: d.dataPath(), Kind: ErrInstanceGone}
	}
	return &Error{Op: op, Path: d.dataPath(), Err: err}
}

// renameKind finds out whether EINVAL meant that the file system does not know
// RENAME_NOREPLACE: one that does answers EEXIST to a rename onto itself.
func (d *Dir) renameKind() error {
	lock := lockName(d.id)
	err := d.root.kernel.Commit(d.root.fd, lock, d.root.join(lock))
	if errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return nil
}

// mountKind is the kind of an EBUSY about name.
func (r *Root) mountKind(dir int, name string) error {
	if a, err := r.kernel.StatName(dir, name); err == nil && a.MountRoot {
		return ErrMountPoint
	}
	return nil
}

// refuseOwn refuses a path that is a lock file or a data directory of this
// root: staging it would take an instance away from its owner. Only a name
// with the grammar costs a look at its directory, so that an ordinary victim
// costs the rename alone.
func (r *Root) refuseOwn(op, path string) error {
	dir, last := splitPath(path)
	if err := refuseNoName(op, path, last); err != nil {
		return err
	}
	if _, _, ok := parseName(last, true); !ok {
		return nil
	}
	parent, err := r.kernel.StatName(unix.AT_FDCWD, dir+".")
	if err != nil {
		return nil // the rename will say what is wrong with path
	}
	if root, err := r.kernel.Stat(r.fd); err == nil && root.same(parent) {
		return &Error{Op: op, Path: path, Kind: ErrForeign}
	}
	return nil
}
