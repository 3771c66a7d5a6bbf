package compat

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/afterlock/afterlock/tempdir"
)

// A portableRoot is the protocol in the calls of package os, for systems other
// than Linux, so that a store still loads there. The names on disk, the rules
// and the errors are the same, with what the documentation of the package lists
// under Systems.
type portableRoot struct{ path string }

func openPortable(path string, make bool) (root, error) {
	const op = "open root"
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, failure(op, path, nil, err)
	}
	if make {
		if err := os.MkdirAll(absolute, 0o700); err != nil {
			return nil, failure(op, path, nil, err)
		}
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return nil, failure(op, path, nil, err)
	}
	if info, err := os.Stat(resolved); err != nil {
		return nil, failure(op, path, nil, err)
	} else if !info.IsDir() {
		return nil, failure(op, path, nil, syscall.ENOTDIR)
	}
	return &portableRoot{resolved}, nil
}

// failure is a [*tempdir.Error] with the errno of what package os returned.
func failure(op, path string, kind, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return &tempdir.Error{Op: op, Path: path, Kind: kind, Err: err}
}

func (r *portableRoot) Close() error { return nil }

func (r *portableRoot) join(name string) string { return filepath.Join(r.path, name) }

// newID draws 128 random bits.
func newID() string {
	var id [16]byte
	rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// grammar is that of the names of instances, ours and upstream's.
var grammar = regexp.MustCompile(`^(lock|temp-dir)-([0-9a-f]{32}|0|[1-9][0-9]{0,9})$`)

func (r *portableRoot) Create() (instance, error) {
	const op = "create"
	var id string
	var held *portableLock
	var err error
	for range lockAttempts {
		id = newID()
		if held, err = r.publish(op, "lock-"+id); !errors.Is(err, fs.ErrExist) {
			break // else a recoverer has it
		}
	}
	if err != nil {
		return nil, err
	}
	d := &portableDir{root: r, path: r.join("temp-dir-" + id), lock: held}
	if err := os.Mkdir(d.path, 0o700); err != nil {
		return nil, errors.Join(failure(op, d.path, nil, err), held.Delete())
	}
	return d, nil
}

// A portableDir is a live instance.
type portableDir struct {
	root *portableRoot
	path string // of the data directory
	lock *portableLock

	mu     sync.Mutex
	next   int // number of the next entry
	closed bool
}

// reserve returns the path of the next entry. The hint is for people.
func (d *portableDir) reserve(hint string) string {
	safe := strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '-' || c == ' ' {
			return c
		}
		return '_'
	}, hint)
	d.next++
	return filepath.Join(d.path, fmt.Sprintf("%d-%.48s", d.next-1, safe))
}

func (d *portableDir) StageDeletion(path string) error {
	const op = "stage deletion"
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return failure(op, path, tempdir.ErrClosed, nil)
	}
	if err := d.root.refuseOwn(op, path); err != nil {
		return err
	}
	err := os.Rename(path, d.reserve(filepath.Base(path)))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		if gone := d.instanceGone(op); gone != nil {
			return gone
		}
		return failure(op, path, tempdir.ErrVictimGone, err)
	case errors.Is(err, syscall.EXDEV):
		return failure(op, path, tempdir.ErrCrossDevice, err)
	}
	return failure(op, path, nil, err)
}

// instanceGone tells a data directory that is gone from a victim that is gone.
func (d *portableDir) instanceGone(op string) error {
	_, err := os.Lstat(d.path)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return failure(op, d.path, tempdir.ErrInstanceGone, nil)
	}
	return failure(op, d.path, nil, err)
}

// refuseOwn refuses a path that is a part of an instance of this root.
func (r *portableRoot) refuseOwn(op, path string) error {
	base := filepath.Base(path)
	if path == "" || base == "." || base == ".." {
		return failure(op, path, nil, syscall.EINVAL)
	}
	if !grammar.MatchString(base) {
		return nil
	}
	parent, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return nil // the rename will say what is wrong with path
	}
	if info, err := os.Stat(r.path); err == nil && os.SameFile(info, parent) {
		return failure(op, path, tempdir.ErrForeign, nil)
	}
	return nil
}

func (d *portableDir) StageAddition() (addition, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, failure("stage addition", d.path, tempdir.ErrClosed, nil)
	}
	return &portableAddition{dir: d, path: d.reserve("addition")}, nil
}

type portableAddition struct {
	dir       *portableDir
	path      string
	committed bool
}

func (a *portableAddition) Path() string { return a.path }

func (a *portableAddition) Commit(destination string) error {
	const op = "commit"
	d := a.dir
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case a.committed:
		return failure(op, destination, tempdir.ErrCommitted, nil)
	case d.closed:
		return failure(op, destination, tempdir.ErrClosed, nil)
	}
	if err := d.root.refuseOwn(op, destination); err != nil {
		return err
	}
	content, err := os.Lstat(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		if gone := d.instanceGone(op); gone != nil {
			return gone
		}
		return failure(op, a.path, tempdir.ErrNothingStaged, err)
	}
	if err == nil {
		err = moveTo(a.path, content, destination)
	}
	switch {
	case err == nil:
		a.committed = true
		return nil
	case errors.Is(err, syscall.EXDEV):
		return failure(op, destination, tempdir.ErrCrossDevice, err)
	}
	return failure(op, destination, nil, err)
}

// moveTo renames path to destination, which must not exist. Only a link never
// replaces; so what appears at destination between the look and the rename is
// replaced if it is an empty directory and content is one, too, or if neither
// is a directory and the file system has no links.
func moveTo(path string, content fs.FileInfo, destination string) error {
	if content.Mode().IsRegular() {
		err := os.Link(path, destination)
		if err == nil {
			_ = os.Remove(path) // or Close does
			return nil
		}
		if errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if _, err := os.Lstat(destination); err == nil {
		return syscall.EEXIST
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(path, destination)
}

func (d *portableDir) Close() error {
	const op = "close"
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return failure(op, d.path, tempdir.ErrClosed, nil)
	}
	d.closed = true
	gone := d.instanceGone(op)
	if err := removeTree(op, d.path); err != nil {
		d.lock.release() // both names stay
		return err
	}
	return errors.Join(gone, d.lock.Delete())
}

// A portableLock is a lock file that this process has locked.
type portableLock struct {
	path string
	file *os.File
}

// publish makes the lock file name and takes its lock. It is visible before it
// is locked, so it is rechecked: the error matches [fs.ErrExist] if somebody
// else has it. Where there are no locks, having made it is all there is.
func (r *portableRoot) publish(op, name string) (*portableLock, error) {
	path := r.join(name)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, failure(op, path, nil, err)
	}
	switch err := lockFile(file); {
	case errors.Is(err, errors.ErrUnsupported):
		return newLock(path, file), nil
	case errors.Is(err, tempdir.ErrHeld):
		drop(file)
		return nil, failure(op, path, nil, syscall.EEXIST)
	case err != nil:
		drop(file)
		return nil, failure(op, path, nil, err)
	}
	l := newLock(path, file)
	if !l.isNamed() {
		l.release()
		return nil, failure(op, path, nil, syscall.EEXIST)
	}
	return l, nil
}

func (r *portableRoot) CreateLock(name string) (lock, error) {
	l, err := r.publish("create lock", name)
	if err != nil {
		return nil, err
	}
	return l, nil
}

func (r *portableRoot) TryLock(name string) (lock, error) {
	l, err := r.tryLock("try lock", name)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// tryLock takes the lock of an existing lock file. Without locks nobody can
// know whether it is in use, so that is [errors.ErrUnsupported].
func (r *portableRoot) tryLock(op, name string) (*portableLock, error) {
	path := r.join(name)
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return nil, failure(op, path, nil, err)
	case !info.Mode().IsRegular():
		return nil, failure(op, path, tempdir.ErrForeign, nil)
	case links(info) > 1:
		return nil, failure(op, path, tempdir.ErrForeign, syscall.EMLINK)
	}
	file := unpark(info)
	if file == nil {
		if file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
			return nil, failure(op, path, nil, err)
		}
	}
	switch err := lockFile(file); {
	case errors.Is(err, tempdir.ErrHeld):
		drop(file)
		return nil, failure(op, path, tempdir.ErrHeld, nil)
	case err != nil:
		drop(file)
		return nil, failure(op, path, nil, err)
	}
	l := newLock(path, file)
	if !l.isNamed() {
		l.release()
		return nil, failure(op, path, nil, syscall.ENOENT)
	}
	return l, nil
}

func newLock(path string, file *os.File) *portableLock {
	held.Store(file, nil)
	return &portableLock{path, file}
}

// isNamed is the recheck: the name still is the file whose lock is held.
func (l *portableLock) isNamed() bool {
	held, err := l.file.Stat()
	named, namedErr := os.Lstat(l.path)
	return err == nil && namedErr == nil && os.SameFile(held, named)
}

// release gives the lock up and leaves the name.
func (l *portableLock) release() {
	held.Delete(l.file)
	l.file.Close()
}

func (l *portableLock) Delete() error {
	const op = "delete lock"
	if !l.isNamed() {
		l.release()
		return failure(op, l.path, tempdir.ErrInstanceGone, nil)
	}
	if runtime.GOOS == "windows" {
		l.release() // an open file cannot be removed
	}
	err := os.Remove(l.path)
	l.release()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failure(op, l.path, nil, err)
	}
	return nil
}

func (r *portableRoot) Recover() (tempdir.Report, error) {
	const op = "recover"
	var report tempdir.Report
	entries, err := os.ReadDir(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return report, failure(op, r.path, tempdir.ErrRootGone, nil)
	}
	if err != nil {
		return report, failure(op, r.path, nil, err)
	}
	found := make(map[string]*stale)
	for _, entry := range entries { // in the order of the names
		parts := grammar.FindStringSubmatch(entry.Name())
		if parts == nil {
			report.Foreign = append(report.Foreign, entry.Name())
			continue
		}
		s := found[parts[2]]
		if s == nil {
			s = &stale{}
			found[parts[2]] = s
			report.Results = append(report.Results, tempdir.Result{ID: parts[2]})
		}
		if parts[1] == "lock" {
			s.lock = entry
		} else {
			s.data = entry
		}
	}
	var failures []error
	for i := range report.Results {
		result := &report.Results[i]
		result.Outcome, result.Err = r.recoverOne(op, result.ID, found[result.ID])
		if result.Err != nil {
			failures = append(failures, result.Err)
		}
	}
	return report, errors.Join(failures...)
}

// stale is what a listing saw of one id; nil is what it did not see.
type stale struct{ lock, data fs.DirEntry }

func (r *portableRoot) recoverOne(op, id string, s *stale) (tempdir.Outcome, error) {
	lockName, dataPath := "lock-"+id, r.join("temp-dir-"+id)
	switch {
	case s.lock != nil && !s.lock.Type().IsRegular():
		return tempdir.Failed, failure(op, r.join(lockName), tempdir.ErrForeign, nil)
	case s.data != nil && !s.data.IsDir():
		return tempdir.Failed, failure(op, dataPath, tempdir.ErrForeign, nil)
	}
	entry, grace := s.lock, lockGrace
	if s.lock == nil {
		entry, grace = s.data, dataGrace
	}
	if s.lock == nil || s.data == nil {
		info, err := entry.Info()
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return tempdir.Vanished, nil
		case err != nil:
			return tempdir.Failed, failure(op, r.join(entry.Name()), nil, err)
		case time.Since(info.ModTime()) < grace:
			return tempdir.Young, nil
		}
	}
	l, err := r.claim(op, lockName, s.lock == nil)
	switch {
	case errors.Is(err, tempdir.ErrHeld), errors.Is(err, fs.ErrExist):
		return tempdir.Skipped, nil
	case errors.Is(err, fs.ErrNotExist):
		return tempdir.Vanished, nil
	case s.lock != nil && errors.Is(err, syscall.EACCES):
		if info, infoErr := s.lock.Info(); infoErr == nil && ofAnotherUser(info) {
			return tempdir.Denied, nil
		}
		return tempdir.Failed, err
	case err != nil:
		return tempdir.Failed, err
	}
	if err := removeTree(op, dataPath); err != nil {
		l.release() // both names stay
		return tempdir.Failed, err
	}
	if err := l.Delete(); err != nil && !errors.Is(err, tempdir.ErrInstanceGone) {
		return tempdir.Failed, err
	}
	return tempdir.Recovered, nil
}

// claim takes the lock of an instance, whose lock file it makes if there is none.
func (r *portableRoot) claim(op, name string, orphan bool) (*portableLock, error) {
	if !orphan {
		return r.tryLock(op, name)
	}
	l, err := r.publish(op, name)
	if err == nil && errors.Is(lockFile(l.file), errors.ErrUnsupported) {
		// An orphan of a process that lives looks the same.
		return nil, errors.Join(failure(op, l.path, nil, errors.ErrUnsupported), l.Delete())
	}
	return l, err
}
