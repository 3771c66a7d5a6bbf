//go:build linux

package tempdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

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
	closed bool
	left   []departure // where names are not ordered: what Sync has not made durable yet
	synced int         // departures that it has

	next atomic.Uint64 // number of the next entry; drawn at once, so that none is drawn twice
}

// ID returns the instance's id, the part that its two names share.
func (d *Dir) ID() string { return d.id }

// StageDeletion moves the victim path, of whatever type, into the instance with
// one renameat2 (spec: StageDeletion). When it returns nil the victim is
// unreachable under its name; [Dir.Close] removes it, and so does any process
// that recovers after a crash.
// (A union file system in user space, fuse-overlayfs for one, may then show what is
// below under that name; [Remove] removes that.)
//
// This is the call to make under the store lock. It does not wait for the disk
// and its cost does not depend on what is below path; before it is [ErrCrossDevice]
// it is made ten times more, with the root opened anew, since a mount above both may
// have come or gone (see [Open]). A crash leaves the victim whole, at either name.
//
// The last element of path is not followed if it is a symbolic link. A directory
// that its owner may not write cannot be moved by an ordinary user: it is made
// writable first. With [ClearFlags], flags of the victim and of its parent are
// cleared; the parent's are set again afterwards, if they can be. What was changed
// is changed back if the victim is not moved, or the error says that it cannot be.
// A crash in between leaves it changed. Where
// the file system cannot rename without replacing, it renames plainly: the entry
// is in this instance's own directory, under a number that is never used again.
//
// Errors match [ErrVictimGone], [ErrCrossDevice], [ErrMountPoint] (path is a
// mount point), [ErrContainsRoot], [ErrImmutable], [ErrReadOnly], [ErrNoSpace],
// [ErrForeign] (path is the lock file or the data directory of an instance of
// this root), [fs.ErrPermission], [ErrInstanceGone] or [ErrClosed]; the victim is
// then where it was. [Remove] needs no rename.
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
	dir, hint := splitPath(path)
	m := d.root.newMending(dir, hint, path)
	leaves := departure{source: dir}
	if !d.root.ordered {
		leaves.at, _ = d.root.kernel.StatName(unix.AT_FDCWD, dir+".") // the rename will say what is wrong with it
	}
	for range stageAttempts {
		entry := d.reserve(hint)
		err := d.root.sameMount(func(root int) error { return d.root.kernel.StageDeletion(path, root, entry) })
		if err == nil {
			if !d.root.ordered {
				leaves.entry = entry
				d.left = append(d.left, leaves)
			}
			m.end(true)
			return nil
		}
		if !is("StageDeletion", err, taken) && !m.mend(err) {
			m.end(false)
			return d.explainDeletion(op, path, err, m)
		}
	}
	m.end(false)
	return &Error{Op: op, Path: d.dataPath(), Kind: errNameTaken, Err: unix.EEXIST}
}

// explainDeletion finds out what the errno of a failed rename was about.
func (d *Dir) explainDeletion(op, path string, err error, m *mending) error {
	victim := place{unix.AT_FDCWD, path}
	if err == unix.ENOENT {
		if gone := d.instanceGone(op); gone != nil {
			return gone
		}
		switch _, statErr := d.root.kernel.StatName(victim.dir, victim.name); {
		case is("StatName", statErr, gone), statErr == unix.ENOTDIR:
			return &Error{Op: op, Path: path, Kind: ErrVictimGone, Err: err}
		case statErr != nil:
			err = statErr
		default: // nobody may take it for one that is gone
			return &Error{Op: op, Path: path, Err: errThere}
		}
	}
	return d.root.explain(Error{Op: op, Path: path}, "StageDeletion", err, m.why,
		victim, place{unix.AT_FDCWD, m.parent + "."}, place{d.root.fd, dataName(d.id)})
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
// A directory that its owner may not write cannot be moved by an ordinary user: it
// is made writable, and has its mode again at destination; a crash in between
// leaves it writable. Where the file system cannot rename without replacing, a
// directory is renamed plainly after a look says that destination is free, which
// replaces an empty directory that is made there in that very moment; anything
// else is linked and unlinked, which replaces nothing.
//
// Errors match [fs.ErrExist] (destination exists), [ErrNothingStaged],
// [ErrCrossDevice], [ErrImmutable], [ErrReadOnly], [ErrNoSpace],
// [errors.ErrUnsupported] (the file system can do none of this),
// [fs.ErrPermission], [ErrInstanceGone], [ErrCommitted], [ErrClosed], or
// [fs.ErrNotExist] with the destination's path (its directory is missing); the
// addition is then where it was and may be committed elsewhere. One error comes
// after the effect: [ErrUnrestored], the content is at destination with another mode.
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
	call, err := a.move(destination)
	var why, unrestored error
	if is(call, err, mended) {
		restore, modeErr := a.makeWritable()
		if why = modeErr; restore != nil {
			call, err = a.move(destination)
			unrestored = restore()
		}
	}
	if err == nil {
		a.committed = true
		if unrestored != nil {
			return &Error{Op: op, Path: destination, Kind: ErrUnrestored, Err: unrestored}
		}
		return nil
	}
	if unrestored != nil {
		why = fmt.Errorf("it has another mode now: %w", unrestored)
	}
	return a.explain(op, destination, call, err, why)
}

// explain finds out what the errno of a commit was about.
func (a *Addition) explain(op, destination, call string, err, why error) error {
	d := a.dir
	f, places := Error{Op: op, Path: destination}, []place{{d.root.fd, a.entry}}
	switch err {
	case unix.ENOENT:
		if gone := d.instanceGone(op); gone != nil {
			return gone
		}
		if _, statErr := d.root.kernel.StatName(d.root.fd, a.entry); is("StatName", statErr, gone) {
			return &Error{Op: op, Path: a.Path(), Kind: ErrNothingStaged, Err: err}
		}
	case unix.EBUSY:
		f.Path = a.Path()
	default:
		dir, _ := splitPath(destination)
		places = append(places, place{unix.AT_FDCWD, dir + "."}, place{d.root.fd, dataName(d.id)})
	}
	return d.root.explain(f, call, err, why, places...)
}

// makeWritable makes an entry writable that is a directory and is not, for its
// move. It keeps the directory open, so that restore reaches it at either name.
func (a *Addition) makeWritable() (restore func() error, err error) {
	k, root := a.dir.root.kernel, a.dir.root.fd
	seen, err := k.StatName(root, a.entry)
	if err != nil || seen.Mode != fs.ModeDir || seen.Permissions&0o200 != 0 {
		return nil, nil
	}
	if err := k.ChangeMode(root, a.entry, seen.Permissions|traversable); err != nil {
		return nil, fmt.Errorf("its mode cannot be changed: %w", err)
	}
	fd, err := k.OpenDirectory(root, a.entry)
	if err != nil {
		_ = k.ChangeMode(root, a.entry, seen.Permissions)
		return nil, fmt.Errorf("it cannot be opened: %w", err)
	}
	return func() error {
		defer k.Close(fd)
		return k.ChangeMode(fd, ".", seen.Permissions)
	}, nil
}

// move moves the entry to destination, in the way that is to be had.
func (a *Addition) move(destination string) (call string, err error) {
	err = a.dir.root.sameMount(func(root int) error {
		call, err = "Commit", a.dir.root.kernel.Commit(root, a.entry, destination)
		if is("Commit", err, fallBack) {
			call, err = a.commitWithout(root, destination)
		}
		return err
	})
	return call, err
}

// commitWithout is the commit where no rename is to be had that never replaces.
func (a *Addition) commitWithout(root int, destination string) (call string, err error) {
	k := a.dir.root.kernel
	seen, err := k.StatName(root, a.entry)
	if err != nil {
		return "StatName", err
	}
	if _, err := k.StatName(unix.AT_FDCWD, destination); err == nil {
		return "StatName", unix.EEXIST
	} else if !is("StatName", err, gone) {
		return "StatName", err
	}
	if seen.Mode == fs.ModeDir {
		return "CommitPlainly", k.CommitPlainly(root, a.entry, destination)
	}
	if err := k.LinkEntry(root, a.entry, destination); err != nil {
		return "LinkEntry", err
	}
	_ = k.RemoveEntry(root, a.entry) // if it stays, the instance's removal takes it
	return "", nil
}

// Close removes everything that is staged and the instance with it: call it
// after the store lock is dropped. When it returns nil, nothing of the instance
// is left on disk.
//
// It first makes the renames durable where the file system does not order them
// before unlinks (spec: SyncData), removes the data by descriptors, never
// following a link and never crossing a mount, then rechecks and unlinks the
// lock file and closes it (spec: OpenDirectory, List, RemoveEntry, RemoveData,
// StatName, RemoveLock, Close). The cost is that of the unlinks, a large tree is
// removed by several goroutines where that is faster (see [Workers]). A crash at any
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
	m := d.root.newMeter(op, d.dataPath())
	err = d.remove(ctx, op, staged, m)
	m.end()
	return err
}

// remove removes the instance, whose lock is free in the end.
func (d *Dir) remove(ctx context.Context, op string, staged bool, m *meter) error {
	found, err := d.root.removeData(ctx, op, d.id, staged, m)
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
// it makes one system call and does not wait for the disk. A child process that is
// between its fork and its exec shares the descriptor, and with it the lock, until then.
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
	return d.next.Load() > 0, nil
}

func (d *Dir) dataPath() string { return d.root.join(dataName(d.id)) }

// reserve returns the name of the next entry, below the root.
func (d *Dir) reserve(hint string) string {
	n := d.next.Add(1) - 1
	return dataName(d.id) + "/" + entryName(n, hint)
}

// instanceGone tells a data directory that is gone from a victim that is gone:
// the kernel answers ENOENT to both (rule 10). Not being able to look is an error
// too, because nobody may be told that a victim is gone which is in its place.
func (d *Dir) instanceGone(op string) error {
	_, err := d.root.kernel.StatName(d.root.fd, dataName(d.id))
	switch {
	case err == nil:
		return nil
	case is("StatName", err, gone):
		return &Error{Op: op, Path: d.dataPath(), Kind: ErrInstanceGone}
	}
	return d.root.explainIn(op, dataName(d.id), "StatName", err)
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
	if root, err := r.kernel.Stat(r.fd); err == nil && root.Same(parent) {
		return &Error{Op: op, Path: path, Kind: errInstance}
	}
	return nil
}
