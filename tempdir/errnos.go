//go:build linux

package tempdir

import (
	"errors"

	"golang.org/x/sys/unix"
)

// A meaning is what an operation takes the errno of a call for.
type meaning uint8

const (
	refused  meaning = iota // a failure: reported with the errno, and the kind if there is one
	gone                    // an answer: what the call was about is not there
	taken                   // an answer: somebody else has the name, or the lock
	fallBack                // another call is tried instead
	mended                  // a mode, a flag or a mount is changed, and the call made again
	another                 // an answer: what is there is of another type
	ignored                 // the operation goes on without
	noLocks                 // a failure, for everybody: what was made to be locked is removed again
	denied                  // an answer, if another user owns it: left to that user
)

var meaningNames = map[meaning]string{
	refused: "refused", gone: "gone", taken: "taken", fallBack: "falls back", mended: "mended",
	another: "another type", ignored: "ignored", noLocks: "no locks", denied: "denied",
}

// String returns the meaning as the documentation has it.
func (m meaning) String() string { return enumName(meaningNames, m) }

// A look is what has to be seen before an errno is reported as a kind.
type look uint8

const (
	unseen      look = iota
	seesMount        // a mount point, or what cannot be looked at
	seesFlags        // an immutable or append-only flag, of the inode or of a directory that holds it
	seesNoOwner      // a data directory that is not there any more
	seesInside       // a root inside the victim
	seesItself       // a destination inside what is committed
)

// An errnoRow is one line of the table of errnos. A kind that needs a look is
// reported only if the look confirms it.
type errnoRow struct {
	call    string // a method of [kernel.Kernel]; "": every call without a row of its own
	errno   unix.Errno
	meaning meaning
	kind    error
	look    look
}

// errnoTable says what each errno of each call is taken for. It decides on the
// bare errno of the call itself, never on one that was joined or wrapped later,
// and never on the errno of a helper (rule 14). What is not here is refused
// without a kind.
var errnoTable = []errnoRow{
	{"", unix.EROFS, refused, ErrReadOnly, unseen},
	{"", unix.ENOSPC, refused, ErrNoSpace, unseen},
	{"", unix.EDQUOT, refused, ErrNoSpace, unseen},
	{"", unix.ENOSYS, refused, errors.ErrUnsupported, unseen},
	{"", unix.EOPNOTSUPP, refused, errors.ErrUnsupported, unseen},
	{"", unix.EBUSY, refused, ErrMountPoint, seesMount},
	{"", unix.EPERM, refused, ErrImmutable, seesFlags},

	{"OpenRoot", unix.ENOTDIR, refused, errNoRoot, unseen},
	{"OpenRoot", unix.ELOOP, refused, errNoRoot, unseen},
	{"OpenParent", unix.ENOENT, gone, ErrVictimGone, unseen},

	{"OpenUnnamed", unix.EOPNOTSUPP, fallBack, nil, unseen},
	{"OpenUnnamed", unix.ENOSYS, fallBack, nil, unseen},
	{"OpenUnnamed", unix.EISDIR, fallBack, nil, unseen}, // kernels that never heard of O_TMPFILE
	{"OpenUnnamed", unix.EINVAL, fallBack, nil, unseen}, // file systems that never heard of it
	{"OpenUnnamed", unix.ENOENT, fallBack, nil, unseen}, // a root that is gone is met again
	{"OpenUnnamed", unix.EPERM, fallBack, nil, unseen},  // a sandbox, or a security module
	{"OpenUnnamed", unix.EACCES, fallBack, nil, unseen},
	{"LinkLock", unix.EEXIST, taken, nil, unseen},
	{"LinkLock", unix.ENOENT, fallBack, nil, unseen}, // no /proc, or the root is gone
	{"LinkLock", unix.EPERM, fallBack, nil, unseen},  // file systems without hard links, or a sandbox
	{"LinkLock", unix.EACCES, fallBack, nil, unseen},
	{"LinkLock", unix.EXDEV, fallBack, nil, unseen},
	{"LinkLock", unix.EMLINK, fallBack, nil, unseen},
	{"LinkLock", unix.EINVAL, fallBack, nil, unseen},
	{"LinkLock", unix.EOPNOTSUPP, fallBack, nil, unseen},
	{"LinkLock", unix.ENOSYS, fallBack, nil, unseen},
	{"CreateLock", unix.EEXIST, taken, nil, unseen},
	{"CreateLock", unix.ENOENT, refused, ErrRootGone, unseen},
	{"TakeLock", unix.EAGAIN, taken, nil, unseen},
	{"TakeLock", unix.ENOLCK, noLocks, nil, unseen},                   // network file systems without a lock manager
	{"TakeLock", unix.EINVAL, noLocks, errors.ErrUnsupported, unseen}, // Linux before 3.15
	{"TakeLock", unix.ENOSYS, noLocks, errors.ErrUnsupported, unseen},
	{"TakeLock", unix.EOPNOTSUPP, noLocks, errors.ErrUnsupported, unseen},
	{"TakeLock", unix.EPERM, noLocks, nil, unseen}, // a sandbox, or a security module
	{"TakeLock", unix.EACCES, noLocks, nil, unseen},
	{"WriteOwner", unix.ENOSPC, ignored, nil, unseen},
	{"WriteOwner", unix.EDQUOT, ignored, nil, unseen},
	{"WriteOwner", unix.EIO, ignored, nil, unseen},
	{"MakeData", unix.ENOENT, refused, ErrRootGone, unseen},
	{"MakeData", unix.EEXIST, refused, errNameTaken, unseen},

	{"OpenLock", unix.ENOENT, gone, nil, unseen},
	{"OpenLock", unix.ELOOP, refused, ErrForeign, unseen},
	{"OpenLock", unix.EISDIR, refused, ErrForeign, unseen},
	{"OpenLock", unix.ENXIO, refused, ErrForeign, unseen},
	{"OpenLock", unix.ENODEV, refused, ErrForeign, unseen},
	{"OpenLock", unix.EXDEV, refused, ErrMountPoint, unseen},
	{"OpenLock", unix.EACCES, denied, nil, unseen},
	{"OpenLock", unix.EPERM, mended, ErrImmutable, seesFlags},
	{"Owns", unix.EACCES, denied, nil, unseen},
	{"Owns", unix.EPERM, denied, nil, unseen},
	{"OpenToInspect", unix.ENOENT, gone, nil, unseen},
	{"OpenToInspect", unix.ELOOP, refused, ErrForeign, unseen},
	{"OpenToInspect", unix.ENXIO, refused, ErrForeign, unseen},
	{"OpenToInspect", unix.ENODEV, refused, ErrForeign, unseen},
	{"OpenToInspect", unix.EXDEV, refused, ErrMountPoint, unseen},
	{"StatName", unix.ENOENT, gone, nil, unseen},
	{"RemoveLock", unix.ENOENT, gone, nil, unseen},
	{"RemoveLock", unix.EPERM, mended, ErrImmutable, seesFlags},

	{"StageDeletion", unix.EEXIST, taken, nil, unseen},
	{"StageDeletion", unix.ENOTEMPTY, taken, nil, unseen}, // by a rename that can replace
	{"StageDeletion", unix.ENOENT, refused, ErrInstanceGone, seesNoOwner},
	{"StageDeletion", unix.EXDEV, refused, ErrCrossDevice, unseen},
	{"StageDeletion", unix.EINVAL, refused, ErrContainsRoot, seesInside},
	{"StageDeletion", unix.EACCES, mended, nil, unseen},
	{"StageDeletion", unix.EPERM, mended, ErrImmutable, seesFlags},
	{"StageDeletion", unix.EROFS, mended, ErrReadOnly, unseen},
	{"Commit", unix.ENOENT, refused, ErrInstanceGone, seesNoOwner},
	{"Commit", unix.EXDEV, refused, ErrCrossDevice, unseen},
	{"Commit", unix.EACCES, mended, nil, unseen},
	{"Commit", unix.EINVAL, fallBack, nil, unseen},
	{"Commit", unix.EPERM, fallBack, nil, unseen}, // a sandbox; flags are met again
	{"Commit", unix.ENOSYS, fallBack, nil, unseen},
	{"Commit", unix.EOPNOTSUPP, fallBack, nil, unseen},
	{"CommitPlainly", unix.EACCES, mended, nil, unseen},
	{"CommitPlainly", unix.ENOENT, refused, ErrInstanceGone, seesNoOwner},
	{"CommitPlainly", unix.ENOTEMPTY, refused, errExists, unseen},
	{"CommitPlainly", unix.ENOTDIR, refused, errExists, unseen},
	{"CommitPlainly", unix.EXDEV, refused, ErrCrossDevice, unseen},
	{"CommitPlainly", unix.EINVAL, refused, errIntoItself, seesItself},
	{"LinkEntry", unix.ENOENT, refused, ErrInstanceGone, seesNoOwner},
	{"LinkEntry", unix.EXDEV, refused, ErrCrossDevice, unseen},
	{"LinkEntry", unix.EPERM, refused, ErrImmutable, seesFlags},
	{"LinkEntry", unix.EMLINK, refused, errors.ErrUnsupported, unseen},
	{"LinkEntry", unix.EINVAL, refused, errors.ErrUnsupported, unseen},

	{"SyncData", unix.EINVAL, ignored, nil, unseen}, // nothing to make durable here
	{"OpenDirectory", unix.ENOENT, gone, nil, unseen},
	{"OpenDirectory", unix.ENOTDIR, another, ErrForeign, unseen},
	{"OpenDirectory", unix.ELOOP, another, ErrForeign, unseen},
	{"OpenDirectory", unix.EACCES, mended, nil, unseen},
	{"OpenDirectory", unix.EXDEV, mended, ErrMountPoint, unseen},
	{"OpenDirectory", unix.EMFILE, fallBack, nil, unseen},
	{"OpenDirectory", unix.ENFILE, fallBack, nil, unseen},
	{"List", unix.ENOENT, gone, nil, unseen},
	{"RemoveEntry", unix.ENOENT, gone, nil, unseen},
	{"RemoveEntry", unix.EISDIR, another, nil, unseen},
	{"RemoveEntry", unix.EACCES, mended, nil, unseen},
	{"RemoveEntry", unix.EPERM, mended, ErrImmutable, seesFlags},
	{"RemoveEntry", unix.EROFS, mended, ErrReadOnly, unseen},
	{"RemoveEntry", unix.EBUSY, mended, ErrMountPoint, seesMount},
	{"RemoveDirectory", unix.ENOENT, gone, nil, unseen},
	{"RemoveDirectory", unix.ENOTEMPTY, another, nil, unseen},
	{"RemoveDirectory", unix.EEXIST, another, nil, unseen},
	{"RemoveDirectory", unix.EACCES, mended, nil, unseen},
	{"RemoveDirectory", unix.EPERM, mended, ErrImmutable, seesFlags},
	{"RemoveDirectory", unix.EROFS, mended, ErrReadOnly, unseen},
	{"RemoveDirectory", unix.EBUSY, mended, ErrMountPoint, seesMount},
	{"RemoveData", unix.ENOENT, gone, nil, unseen},
	{"RemoveData", unix.ENOTEMPTY, another, nil, unseen},
	{"RemoveData", unix.EEXIST, another, nil, unseen},
	{"RemoveData", unix.ENOTDIR, another, ErrForeign, unseen},
	{"RemoveData", unix.EPERM, mended, ErrImmutable, seesFlags},
	{"RemoveData", unix.EBUSY, mended, ErrMountPoint, seesMount},
	{"Hoist", unix.EEXIST, taken, nil, unseen},
	{"Hoist", unix.EACCES, mended, nil, unseen},
	{"Hoist", unix.EPERM, mended, nil, unseen}, // if it is a flag, the removal meets it again
	{"Hoist", unix.EXDEV, fallBack, nil, unseen},
}

// meaningOf finds the errno of the call in the table.
func meaningOf(call string, err error) errnoRow {
	errno, bare := err.(unix.Errno)
	if !bare {
		return errnoRow{call: call}
	}
	row := errnoRow{call: call, errno: errno}
	for _, r := range errnoTable {
		if r.errno == errno && (r.call == call || r.call == "") {
			row = r
			if r.call == call {
				break
			}
		}
	}
	return row
}

// is reports whether the errno of the call means m.
func is(call string, err error, m meaning) bool {
	return err != nil && meaningOf(call, err).meaning == m
}

// A place is a name that a call was about.
type place struct {
	dir  int // or unix.AT_FDCWD
	name string
}

// explain says what a call that was refused was about: f has the operation and
// the path. It looks at what was in the way, the first of the places, and at the
// directories that hold it, and changes nothing; what it cannot see it does not
// say. The errno is reported in any case.
func (r *Root) explain(f Error, call string, err error, why error, places ...place) *Error {
	row := meaningOf(call, err)
	f.Err = err
	if why != nil {
		f.Err = &unmended{err, why}
	}
	sees := row.look == unseen
	switch row.look {
	case seesMount:
		a, statErr := r.kernel.StatName(places[0].dir, places[0].name)
		// What is mounted there may be dead, and not even answer.
		sees = statErr == nil && (a.MountRoot || a.MountUnknown) || statErr != nil && statErr != unix.ENOENT
	case seesFlags:
		for _, p := range places {
			a, statErr := r.kernel.StatName(p.dir, p.name)
			sees = sees || statErr == nil && a.Immutable
		}
	case seesInside:
		sees = r.isInside(place{r.fd, "."}, places[0])
	case seesItself:
		sees = r.isInside(places[1], places[0])
	}
	if !sees && (err == unix.EINVAL || call == "LinkEntry") {
		f.Kind = errors.ErrUnsupported // of such a rename or link, by the file system
	}
	if sees {
		f.Kind = row.kind
	}
	switch f.Kind {
	case ErrRootGone: // none of the errno's wider classes: the victim is not gone
		f.Path, f.Err = r.path, nil
	case errors.ErrUnsupported:
		if errors.Is(err, errors.ErrUnsupported) {
			f.Kind = nil // the errno says so itself
		}
	}
	return &f
}

// isInside reports whether the directory at the place is victim, or in it.
func (r *Root) isInside(p, victim place) bool {
	v, err := r.kernel.StatName(victim.dir, victim.name)
	if err != nil {
		return false
	}
	at, err := r.kernel.StatName(p.dir, p.name)
	for up := p.name + "/.."; err == nil; up += "/.." {
		if at.Same(v) {
			return true
		}
		below := at
		at, err = r.kernel.StatName(p.dir, up)
		if at.Same(below) {
			break
		}
	}
	return false
}

// An unmended is the errno of a call, and why what was in its way could not be
// changed. The reason can be read, and not matched: it is about another thing
// than the call (rule 14).
type unmended struct{ err, why error }

func (u *unmended) Error() string { return u.err.Error() + " (" + u.why.Error() + ")" }
func (u *unmended) Unwrap() error { return u.err }

// path is where name in the level is.
func (v *removal) path(top int, name string) string {
	path := []string{}
	for _, l := range v.levels[:top+1] {
		path = append(path, l.name)
	}
	return v.root.join(append(path, name)...)
}

// explain finds out what an errno about name in the level was about, and names
// the path. An empty name is the level's directory itself.
func (v *removal) explain(top int, name, call string, err, why error) error {
	at := place{v.dir(top), name}
	if name == "" {
		at.name = "."
	}
	return v.root.explain(Error{Op: v.op, Path: v.path(top, name)}, call, err, why, at, place{v.dir(top), "."})
}
