//go:build linux

package tempdir

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// A Root is a handle on one root directory: the directory that several
// processes share, with a lock file and a data directory for every instance.
//
// A Root holds one descriptor, nothing process-wide and no goroutine. All its
// methods may be called concurrently; two Roots for one directory, under
// whatever names, exclude each other like two processes do (rule 8).
type Root struct {
	path    string
	options options
	kernel  kernel.Kernel
	fd      int
	ordered bool   // renames are durable before later unlinks
	parent  bool   // it is only the directory of what [Remove] removes
	cleared int    // flags of that directory that were cleared
	record  []byte // the owner record of every instance

	// named is set once O_TMPFILE turned out not to work here, so that it is
	// not tried again for every instance.
	named atomic.Bool

	// When the root was changed last, as [Root.MaybeDirty] saw it: before a
	// listing is begun, and before one that found no instance.
	candidate, empty atomic.Pointer[time.Time]

	cursor atomic.Pointer[string] // where the next slice of recovery begins

	mu     sync.Mutex
	users  int // calls and live instances that use fd
	closed bool
}

// Open opens the root directory path.
//
// The last element of path must be a directory and not a symbolic link
// ([errors.Is] unix.ENOTDIR otherwise): resolve links first if you trust them.
// It has to be on the file system, and in the mount, of what is to be staged. A
// root that every user may write, without the sticky bit, is [ErrExposed], unless
// [AllowOthers] is given. Close the Root when it is not needed any more.
// Every later call uses the descriptor opened here, so renaming the root or
// mounting over it does not redirect them; only [Addition.Path] is a path. If a
// move is refused because another mount leads to the root by now, the root is opened
// by that one for it.
//
// Open changes nothing on disk, except with [Make], and does not recover: call
// [Root.Recover] when no store lock is held. It returns an error that matches
// [errors.ErrUnsupported] where nothing tells mounts apart; see
// "Systems" in the package documentation.
func Open(path string, opts ...Option) (*Root, error) {
	const op = "open root"
	r := &Root{options: newOptions(opts)}
	r.kernel = r.options.kernel
	switch {
	case path == "":
		return nil, &Error{Op: op, Path: path, Kind: errNoName, Err: unix.ENOENT}
	case r.options.make != nil && *r.options.make == 0:
		return nil, &Error{Op: op, Path: path, Kind: errNoMode, Err: unix.EINVAL}
	}
	var err error
	if r.path, err = absolutePath(path); err != nil {
		return nil, &Error{Op: op, Path: path, Err: err}
	}
	if r.options.make != nil {
		perm := *r.options.make
		if !r.options.allowOthers && perm&fs.ModeSticky == 0 {
			perm &^= 0o002 // what would be refused is not made
		}
		if err := os.MkdirAll(r.path, perm); err != nil {
			dir, _ := splitPath(r.path)
			return nil, r.explain(Error{Op: op, Path: r.path}, "OpenRoot", kernel.BareErrno(err), nil, place{unix.AT_FDCWD, dir + "."})
		}
	}
	r.fd, r.ordered, err = r.kernel.OpenRoot(r.path)
	if err != nil {
		return nil, r.explain(Error{Op: op, Path: r.path}, "OpenRoot", err, nil, place{unix.AT_FDCWD, r.path})
	}
	if err := r.refuseExposed(op); err != nil {
		r.kernel.Close(r.fd)
		return nil, err
	}
	owner := thisProcess()
	owner.Purpose = r.options.purpose
	r.record = owner.encode()
	return r, nil
}

// refuseExposed refuses a root in which every user can take names away, and put
// other things in their place.
func (r *Root) refuseExposed(op string) error {
	if r.options.allowOthers {
		return nil
	}
	a, err := r.kernel.Stat(r.fd)
	if err != nil {
		return r.explainIn(op, ".", "Stat", err)
	}
	if a.Permissions&0o002 != 0 && a.Permissions&fs.ModeSticky == 0 {
		return &Error{Op: op, Path: r.path, Kind: ErrExposed}
	}
	return nil
}

// Path returns the absolute path that the root was opened by.
func (r *Root) Path() string { return r.path }

// Close gives the root up: every later call returns [ErrClosed]. Instances that
// are live keep working, and the descriptor is closed with the last of them.
func (r *Root) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return &Error{Op: "close root", Path: r.path, Kind: ErrClosed}
	}
	r.closed = true
	r.users++ // this call, so that exactly one release closes the descriptor
	r.mu.Unlock()
	r.release()
	return nil
}

// acquire keeps the descriptor open until release. Without the count, a number
// that the kernel has given to another file could be used for an unlink.
func (r *Root) acquire(op string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return &Error{Op: op, Path: r.path, Kind: ErrClosed}
	}
	r.users++
	return nil
}

func (r *Root) release() {
	r.mu.Lock()
	r.users--
	last := r.closed && r.users == 0
	r.mu.Unlock()
	if last {
		r.kernel.Close(r.fd) // nothing to recover: nothing was written through it
	}
}

// remounts bounds how often a move is made again because mounts may have changed, and
// sameMounts how often in a row although the root is reached by the same one as before.
const remounts, sameMounts = 100, 10

// sameMount makes a move by the root's descriptor. Where a directory above the root
// is mounted upon itself while it is in use, as the overlay driver's home is, that
// mount goes away and comes back as other processes end and begin. The descriptor
// is then in another mount than what every path leads to now, and the kernel refuses
// to rename between the two. The move is made again by a new descriptor, as long as
// the path leads to this same root. That it leads there by the same mount as before
// does not say that the move met no other: that one may have come and gone.
func (r *Root) sameMount(move func(root int) error) error {
	err := move(r.fd)
	same := 0
	for last, tries := r.fd, 0; err == unix.EXDEV && tries < remounts; tries++ {
		fd, _, openErr := r.kernel.OpenRoot(r.path)
		if openErr != nil {
			return err
		}
		defer r.kernel.Close(fd) // all at the end: what is held is compared (rule 7)
		before, beforeErr := r.kernel.Stat(last)
		now, nowErr := r.kernel.Stat(fd)
		if same++; now.Mount != before.Mount {
			same = 0
		}
		if beforeErr != nil || nowErr != nil || !now.Same(before) || same == sameMounts {
			return err
		}
		last, err = fd, move(fd)
	}
	return err
}

// absolutePath is filepath.Abs, which takes "a/../b" for "b", for those who mean
// what the kernel does if a is a symbolic link.
func absolutePath(path string) (string, error) {
	if i := strings.LastIndex("/"+path+"/", "/../"); i >= 0 {
		up, err := filepath.EvalSymlinks(path[:i+len("..")])
		if err != nil {
			return "", kernel.BareErrno(err)
		}
		path = up + "/" + path[i+len(".."):]
	}
	return filepath.Abs(path)
}

// join is the path of a name below the root, "" and "." being the directory.
func (r *Root) join(names ...string) string {
	path := r.path
	for _, name := range names {
		switch {
		case name == "" || name == ".":
		case path == "" || strings.HasSuffix(path, "/"):
			path += name
		default:
			path += "/" + name
		}
	}
	return path
}
