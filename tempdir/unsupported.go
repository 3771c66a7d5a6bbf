//go:build !linux

package tempdir

import (
	"context"
	"errors"
	"time"
)

// A Root is a handle on one root directory. On this system it cannot be opened.
type Root struct{ path string }

// A Dir is a live instance. On this system there are none.
type Dir struct{}

// An Addition is a path inside an instance. On this system there are none.
type Addition struct{}

// Open returns an error that matches [errors.ErrUnsupported]: the protocol
// needs open file description locks, openat2 and renames that never replace,
// and doing without them would lose data.
func Open(path string, _ ...Option) (*Root, error) {
	return nil, unsupported("open root", path)
}

// Path returns the path of the root.
func (r *Root) Path() string { return r.path }

// Close is not supported on this system.
func (r *Root) Close() error { return unsupported("close root", r.path) }

// Create is not supported on this system.
func (r *Root) Create() (*Dir, error) { return nil, unsupported("create", r.path) }

// Recover is not supported on this system.
func (r *Root) Recover(context.Context) (Report, error) {
	return Report{}, unsupported("recover", r.path)
}

// Reap is not supported on this system.
func (r *Root) Reap(context.Context, time.Duration, func(Report, error)) error {
	return unsupported("reap", r.path)
}

// MaybeDirty is not supported on this system.
func (r *Root) MaybeDirty() (bool, error) { return true, unsupported("maybe dirty", r.path) }

// Ordered returns false.
func (r *Root) Ordered() bool { return false }

// Remove is not supported on this system.
func Remove(_ context.Context, path string, _ ...Option) error { return unsupported("remove", path) }

// Instances is not supported on this system.
func (r *Root) Instances(context.Context) ([]Instance, error) {
	return nil, unsupported("instances", r.path)
}

// Usage is not supported on this system.
func (r *Root) Usage(context.Context, string) (Usage, error) {
	return Usage{}, unsupported("usage", r.path)
}

// A Lock is a lock file whose lock this process holds. On this system there are
// none.
type Lock struct{}

// CreateLock is not supported on this system.
func (r *Root) CreateLock(name string) (*Lock, error) { return nil, unsupported("create lock", name) }

// TryLock is not supported on this system.
func (r *Root) TryLock(name string) (*Lock, error) { return nil, unsupported("try lock", name) }

// Delete is not supported on this system.
func (l *Lock) Delete() error { return unsupported("delete lock", "") }

// ID returns "".
func (d *Dir) ID() string { return "" }

// StageDeletion is not supported on this system.
func (d *Dir) StageDeletion(path string) error { return unsupported("stage deletion", path) }

// StageAddition is not supported on this system.
func (d *Dir) StageAddition() (*Addition, error) { return nil, unsupported("stage addition", "") }

// Sync is not supported on this system.
func (d *Dir) Sync() error { return unsupported("sync", "") }

// Close is not supported on this system.
func (d *Dir) Close(context.Context) error { return unsupported("close", "") }

// Release is not supported on this system.
func (d *Dir) Release() error { return unsupported("release", "") }

// Path returns "".
func (a *Addition) Path() string { return "" }

// Commit is not supported on this system.
func (a *Addition) Commit(destination string) error { return unsupported("commit", destination) }

func unsupported(op, path string) error {
	return &Error{Op: op, Path: path, Err: errors.ErrUnsupported}
}
