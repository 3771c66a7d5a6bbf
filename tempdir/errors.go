package tempdir

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
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

	// ErrCrossDevice: victim or destination is on another file system, behind
	// another mount, of another project quota or in a lower layer of an overlay,
	// so that no rename can move it.
	ErrCrossDevice error = &kind{"no rename leads from here into the root", nil}

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
	// may be lost. It does not match [fs.ErrNotExist], so callers cannot mistake
	// it for "already deleted" (rule 10).
	ErrInstanceGone error = &kind{"instance was removed by another process", nil}

	// ErrRootGone: the root directory was removed. It does not match
	// [fs.ErrNotExist], for the same reason.
	ErrRootGone error = &kind{"root directory gone", nil}

	// ErrHeld: the lock is held, by another process or by this one.
	ErrHeld error = &kind{"the lock is held", nil}

	// ErrForeign: a name in the root does not have the grammar or the type of a
	// name of an instance, or a path is the name of an instance and may not be
	// moved or removed. It was not touched.
	ErrForeign error = &kind{"not an afterlock name", nil}

	// ErrExposed: every user may write the root, and it is not sticky; see
	// [AllowOthers].
	ErrExposed error = &kind{"the root directory may be written by every user", nil}

	// ErrContainsRoot: the root is inside the victim, or is the victim, so that
	// it cannot be moved into the root.
	ErrContainsRoot error = &kind{"the root is inside it", nil}

	// ErrReadOnly: the file system, or the subvolume, is read-only.
	ErrReadOnly error = &kind{"the file system or subvolume is read-only", nil}

	// ErrNoSpace: the disk or a quota is full.
	ErrNoSpace error = &kind{"out of space", nil}

	// ErrUnrestored: the commit took effect, and the content is at the destination;
	// but a directory that had to be made writable for the move stays so.
	ErrUnrestored error = &kind{"committed, but its mode could not be restored", nil}

	// ErrLeftover: data could not be removed. Both names are still on disk, the
	// lock is released, and any process may retry (rule 5).
	ErrLeftover error = &kind{"could not remove everything", nil}
)

// errNoRoot is why a root cannot be opened, and errExists why a commit is refused
// by a call that does not answer EEXIST itself.
var (
	errNoRoot error = &kind{"a root must be a directory and no symbolic link", nil}
	errExists error = &kind{"the destination exists", fs.ErrExist}
)

// What matches ErrForeign, and is not a matter of grammar.
var (
	errInstance  error = &kind{"it belongs to an instance", ErrForeign}
	errNameTaken error = &kind{"somebody else has the name", ErrForeign}
)

// errIntoItself is why a directory cannot be committed to a path below it.
var errIntoItself error = &kind{"a directory cannot be moved into itself", nil}

// errThere is in place of an ENOENT that is not true: nobody may take it for one
// (rule 14).
var errThere = errors.New("the kernel does not find it, but it exists")

// errNoMode is why Make(0) is refused.
var errNoMode error = &kind{"a root cannot be made with no permissions", nil}

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

// MarshalText returns the text of Error.
func (e *Error) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

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

// matches is what the error matches and others of its kind do too: without names.
func (e *Error) matches() []error {
	var errno syscall.Errno
	matches := e.Unwrap()
	if errors.As(e.Err, &errno) {
		matches[len(matches)-1] = errno
	}
	return matches
}

// maxLeftovers bounds how many reasons a LeftoverError keeps: a tree of a
// million undeletable files must not become a million errors in memory.
const maxLeftovers = 16

// A LeftoverError says that an instance, or what [Remove] was to remove, could not
// be removed, and why. It matches [ErrLeftover], its reasons, each an [*Error],
// and also every kind and the context's error that occurred beyond the reasons
// that are kept.
type LeftoverError struct {
	Op      string  // the operation: "close", "recover", "remove"
	Path    string  // of the data directory
	Reasons []error // the first few
	Failed  int     // how many names could not be removed, at least len(Reasons)

	kinds []error // of all reasons, once each
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

// MarshalText returns the text of Error.
func (e *LeftoverError) MarshalText() ([]byte, error) { return []byte(e.Error()), nil }

// Unwrap returns ErrLeftover, the reasons, and the kinds of those not kept.
func (e *LeftoverError) Unwrap() []error {
	return slices.Concat([]error{ErrLeftover}, e.Reasons, e.kinds)
}

// add counts one name that could not be removed. A kind is kept however many
// reasons came before it; there are few.
func (e *LeftoverError) add(err error) {
	e.Failed++
	if len(e.Reasons) < maxLeftovers {
		e.Reasons = append(e.Reasons, err)
		return
	}
	var failure *Error
	if !errors.As(err, &failure) {
		failure = &Error{Kind: err}
	}
	for _, kind := range failure.matches() {
		if !errors.Is(e, kind) {
			e.kinds = append(e.kinds, kind)
		}
	}
}

// forget takes back what was added: it is met again.
func (e *LeftoverError) forget() { e.Failed, e.Reasons, e.kinds = 0, nil, nil }

// quotePath makes a path safe to print: as it is, or quoted if it holds
// anything but printable text.
func quotePath(path string) string {
	if quoted := strconv.Quote(path); quoted != `"`+path+`"` || path == "" {
		return quoted
	}
	return path
}
