package tempdir

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

// Kinds of failure that a caller may want to tell apart with [errors.Is]. The
// errors that the package returns wrap one of them in an [*Error] or a
// [*LeftoverError], together with the errno where there is one.
//
// What cannot be done on this system matches [errors.ErrUnsupported].
var (
	// ErrClosed: the [Root] or the [Dir] is closed. It is an [fs.ErrClosed].
	ErrClosed error = &kind{"already closed", fs.ErrClosed}

	// ErrCommitted: the [Addition] is committed already.
	ErrCommitted error = &kind{"already committed", nil}

	// ErrCrossDevice: victim or destination is on another file system or behind
	// another mount than the root, so that no rename can move it.
	ErrCrossDevice error = &kind{"not on the root's file system", nil}

	// ErrMountPoint: a mount is in the way. Nothing behind it was touched.
	ErrMountPoint error = &kind{"a mount point is in the way", nil}

	// ErrImmutable: an immutable or append-only flag is in the way; see [ClearFlags].
	ErrImmutable error = &kind{"an immutable or append-only flag is in the way", nil}

	// ErrVictimGone: the victim does not exist; somebody else deleted it. It is
	// an [fs.ErrNotExist].
	ErrVictimGone error = &kind{"victim already gone", fs.ErrNotExist}

	// ErrNothingStaged: nothing exists at the path of the [Addition]. It is an
	// [fs.ErrNotExist].
	ErrNothingStaged error = &kind{"nothing at the staged path", fs.ErrNotExist}

	// ErrInstanceGone: the lock file or the data directory of a live instance
	// is gone or was replaced: somebody broke the protocol, and what was staged
	// may be lost. It is no [fs.ErrNotExist], so that a caller that takes "not
	// found" for "already deleted" does not swallow it (rule 10).
	ErrInstanceGone error = &kind{"own directory or lock file gone: the protocol was broken", nil}

	// ErrRootGone: the root directory was removed. It is no [fs.ErrNotExist],
	// for the same reason.
	ErrRootGone error = &kind{"root directory gone", nil}

	// ErrHeld: the lock is held, by another process or by this one.
	ErrHeld error = &kind{"the lock is held", nil}

	// ErrForeign: a name in the root is not ours: it has not the grammar or not
	// the type of a name of an instance. It was not touched.
	ErrForeign error = &kind{"name not ours", nil}

	// ErrExposed: every user may write the root, and it is not sticky; see
	// [AllowOthers].
	ErrExposed error = &kind{"the root directory may be written by every user", nil}

	// ErrContainsRoot: the root is inside the victim, or is the victim, so that
	// it cannot be moved into the root.
	ErrContainsRoot error = &kind{"the root is inside it", nil}

	// ErrReadOnly: the file system is read-only.
	ErrReadOnly error = &kind{"the file system is read-only", nil}

	// ErrNoSpace: the disk or a quota is full.
	ErrNoSpace error = &kind{"out of space", nil}

	// ErrLeftover: data could not be removed. Both names are still on disk, the
	// lock is released, and any process may retry (rule 5).
	ErrLeftover error = &kind{"data left behind", nil}
)

// errNoName is why there is an EINVAL for a path such as "." or "".
var errNoName error = &kind{"the path has to end in a name, not in \".\", \"..\" or \"/\"", nil}

// refuseNoName refuses a path whose last element is no name.
func refuseNoName(op, path, last string) error {
	if last == "" || last == "." || last == ".." {
		return &Error{Op: op, Path: path, Kind: errNoName, Err: syscall.EINVAL}
	}
	return nil
}

// A kind is a sentinel error that may belong to a wider class.
type kind struct {
	text  string
	class error
}

func (k *kind) Error() string { return k.text }
func (k *kind) Unwrap() error { return k.class }

// An Error is a failure of one operation at one path.
type Error struct {
	Op   string // the operation: "create", "stage deletion", …
	Path string // what it was about
	Kind error  // one of the kinds of this package, or nil
	Err  error  // the errno, or nil
}

// Error names operation, path and reason on one line; bytes of the path that a
// terminal could misread are quoted.
func (e *Error) Error() string {
	text := e.Op + " " + quotePath(e.Path)
	for _, err := range e.Unwrap() {
		text += ": " + err.Error()
	}
	return text
}

// Unwrap returns Kind and Err, those that are there.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// maxLeftovers bounds how many reasons a LeftoverError keeps: a tree of a
// million undeletable files must not become a million errors in memory.
const maxLeftovers = 16

// A LeftoverError says that an instance could not be removed, and why. It is an
// [ErrLeftover]; its reasons, each an [*Error] or the context's error, can be
// matched as well.
type LeftoverError struct {
	Op      string  // the operation: "close", "recover"
	Path    string  // of the data directory
	Reasons []error // the first few
	Failed  int     // how many names could not be removed, at least len(Reasons)
}

// Error names the data directory and every reason kept, on one line.
func (e *LeftoverError) Error() string {
	var reasons []string
	for _, err := range e.Reasons {
		reasons = append(reasons, err.Error())
	}
	text := fmt.Sprintf("%s %s: %v: %s", e.Op, quotePath(e.Path), ErrLeftover, strings.Join(reasons, "; "))
	if more := e.Failed - len(e.Reasons); more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// Unwrap returns ErrLeftover and the reasons.
func (e *LeftoverError) Unwrap() []error { return append([]error{ErrLeftover}, e.Reasons...) }

// add counts one name that could not be removed.
func (e *LeftoverError) add(err error) {
	e.Failed++
	if len(e.Reasons) < maxLeftovers {
		e.Reasons = append(e.Reasons, err)
	}
}

// quotePath makes a path safe to print: as it is, or quoted if it holds
// anything but printable text.
func quotePath(path string) string {
	if quoted := strconv.Quote(path); quoted != `"`+path+`"` || path == "" {
		return quoted
	}
	return path
}
