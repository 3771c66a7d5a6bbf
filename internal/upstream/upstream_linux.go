package upstream

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Options change what is as released.
type Options struct {
	CreatorRechecks   bool // after locking, a creator compares its file with the name
	RecovererRechecks bool // so does a recoverer

	// Before comes before each system call. The action is the spec's name of
	// the step that the call takes, or empty where the call is no step: a look
	// that changes nothing, or the second call of one grain. The name is the
	// base name of the path that the call is about. A RemoveData that meets
	// ENOTEMPTY is no step either. If it returns an error, the call is not made
	// and that is its result. A close is made all the same.
	Before func(action, name string) error

	// Descriptor hears of each descriptor that was opened, and of each that is
	// about to be closed; may be nil.
	Descriptor func(name string, fd int, open bool)

	// Process is what stands for the operating system process, whose table keeps
	// goroutines apart. Default: this one.
	Process *Process
}

// A Process has the absolute paths of the lock files that it has locked.
type Process struct {
	mu   sync.Mutex
	held map[string]bool
}

var thisProcess Process

// ErrTaken says that the lock of a lock file could not be had, for whatever
// reason. [Root.Create] returns it after 1000 of them.
var ErrTaken = errors.New("lock file taken by another process")

// A Root is a directory with instances. Its methods may be called concurrently.
type Root struct {
	path    string
	options Options
}

// New returns the root at path, which it makes if need be.
func New(path string, o Options) (*Root, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	if o.Before == nil {
		o.Before = func(string, string) error { return nil }
	}
	if o.Descriptor == nil {
		o.Descriptor = func(string, int, bool) {}
	}
	if o.Process == nil {
		o.Process = &thisProcess
	}
	return &Root{path: path, options: o}, nil
}

// Names on disk.
const (
	lockPrefix = "lock-"
	dataPrefix = "temp-dir-"
)

func (r *Root) lockPath(id string) string { return filepath.Join(r.path, lockPrefix+id) }
func (r *Root) dataPath(id string) string { return filepath.Join(r.path, dataPrefix+id) }

func (r *Root) before(action, path string) error {
	return r.options.Before(action, filepath.Base(path))
}

// do makes a call, unless Before says how it ends.
func (r *Root) do(action, path string, call func() error) error {
	if err := r.before(action, path); err != nil {
		return err
	}
	return call()
}

// open is do for calls that return a descriptor.
func (r *Root) open(action, path string, call func() (int, error)) (int, error) {
	if err := r.before(action, path); err != nil {
		return -1, err
	}
	fd, err := call()
	if err == nil {
		r.options.Descriptor(filepath.Base(path), fd, true)
	}
	return fd, err
}

// close closes fd.
func (r *Root) close(action, path string, fd int) error {
	_ = r.before(action, path)
	r.options.Descriptor(filepath.Base(path), fd, false)
	return unix.Close(fd)
}

// A Dir is an instance. One goroutine uses it.
type Dir struct {
	root *Root
	id   string
	lock *lock
	next int
}

// attempts is how many lock files a creator tries to get. Those that it does not
// get stay on disk.
const attempts = 1000

// Create makes an instance (spec: UpstreamCreateLock, UpstreamOpenLock,
// UpstreamTakeLock, MakeData).
func (r *Root) Create() (*Dir, error) {
	var failed error
	for range attempts {
		id, err := r.publish()
		if err != nil {
			return nil, err
		}
		l, err := r.tryLock(id, r.options.CreatorRechecks)
		if err != nil {
			failed = err
			continue
		}
		if err := r.makeData(id); err != nil {
			return nil, err // and the lock stays, as released
		}
		return &Dir{root: r, id: id, lock: l}, nil
	}
	return nil, fmt.Errorf("%d lock files tried: %w", attempts, failed)
}

// publish makes an empty lock file under an id that is free, as os.CreateTemp
// draws ids, and closes it.
func (r *Root) publish() (id string, err error) {
	for {
		id = strconv.FormatUint(uint64(rand.Uint32()), 10)
		path := r.lockPath(id)
		fd, err := r.open("UpstreamCreateLock", path, func() (int, error) {
			return unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o600)
		})
		switch err {
		case nil:
			return id, r.close("", path, fd)
		case unix.EEXIST:
		default:
			return "", &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

// makeData makes the data directory as os.MkdirAll does. One that exists is
// accepted without a word.
func (r *Root) makeData(id string) error {
	path := r.dataPath(id)
	var info unix.Stat_t
	look := func(path string) error {
		return r.do("", path, func() error { return unix.Fstatat(unix.AT_FDCWD, path, &info, 0) })
	}
	if look(path) == nil {
		return nil
	}
	if err := look(r.path); err != nil {
		return &fs.PathError{Op: "stat", Path: r.path, Err: err}
	}
	err := r.do("MakeData", path, func() error { return unix.Mkdirat(unix.AT_FDCWD, path, 0o700) })
	if err != nil && err != unix.EEXIST {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	return nil
}

// entry reserves the next name in the instance.
func (d *Dir) entry(hint string) string {
	n := d.next
	d.next++
	return filepath.Join(d.root.dataPath(d.id), fmt.Sprintf("%d-%s", n, hint))
}

// StageDeletion moves the victim into the instance (spec: StageDeletion).
func (d *Dir) StageDeletion(victim string) error {
	return d.root.rename("StageDeletion", victim, d.entry(filepath.Base(victim)))
}

// An Addition is a path inside the instance that Commit puts in place.
type Addition struct {
	dir  *Dir
	path string
}

// StageAddition reserves a path inside the instance, for the caller to build
// something at.
func (d *Dir) StageAddition() *Addition { return &Addition{d, d.entry("addition")} }

// Path is where the caller builds.
func (a *Addition) Path() string { return a.path }

// Commit moves what is at Path to destination (spec: Commit).
func (a *Addition) Commit(destination string) error {
	return a.dir.root.rename("Commit", a.path, destination)
}

func (r *Root) rename(action, from, to string) error {
	err := r.do(action, from, func() error { return unix.Renameat(unix.AT_FDCWD, from, unix.AT_FDCWD, to) })
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// Cleanup removes the instance (spec: OpenDirectory, OpenEntry, RemoveEntry,
// RemoveData, UpstreamRemoveLock, Close). If that fails, the lock stays for as
// long as the process lives.
func (d *Dir) Cleanup() error {
	if err := d.root.removeData(d.id); err != nil {
		return err
	}
	return d.root.unlockAndDelete(d.lock)
}

// Recover removes every instance whose lock it gets (spec: List, and then as in
// Create and Cleanup). Locks that it does not get, for whatever reason, are
// passed over.
func (r *Root) Recover() error {
	ids, err := r.list()
	if err != nil {
		return err
	}
	var failures []error
	for _, id := range ids {
		l, err := r.tryLock(id, r.options.RecovererRechecks)
		if err != nil {
			continue
		}
		failures = append(failures, r.removeData(id), r.unlockAndDelete(l))
	}
	return errors.Join(failures...)
}

// list returns the ids that a listing of the root shows, by either name.
func (r *Root) list() (ids []string, err error) {
	fd, err := r.open("", r.path, func() (int, error) {
		return unix.Open(r.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	})
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: r.path, Err: err}
	}
	names, err := r.readNames(fd, "List", r.path)
	r.close("", r.path, fd)
	seen := make(map[string]bool)
	for _, name := range names {
		id, lock := strings.CutPrefix(name, lockPrefix)
		data := false
		if !lock {
			id, data = strings.CutPrefix(name, dataPrefix)
		}
		if (lock || data) && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, err
}

// readNames lists the directory fd to its end. The first getdents64 takes the
// action, those that follow are no step.
func (r *Root) readNames(fd int, action, path string) (names []string, err error) {
	buf := make([]byte, 8<<10)
	for {
		n := 0
		err := r.do(action, path, func() (err error) { n, err = unix.Getdents(fd, buf); return err })
		if err != nil {
			return names, &fs.PathError{Op: "readdirent", Path: path, Err: err}
		}
		if n <= 0 {
			return names, nil
		}
		action = ""
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}
