//go:build !linux

package layerstore

import (
	"context"
	"errors"
	"io/fs"
)

// A Store is a handle on one layer store. On this system it cannot be opened.
type Store struct{ path string }

// A Receipt is a deletion that took effect and whose data is still to be
// removed. On this system there are none.
type Receipt struct{}

// Open returns an error that matches [errors.ErrUnsupported].
func Open(path string, _ ...Option) (*Store, error) { return nil, unsupported("open", path) }

// Close is not supported on this system.
func (s *Store) Close() error { return unsupported("close", s.path) }

// Create is not supported on this system.
func (s *Store) Create(context.Context, Layer, Content) (Layer, error) {
	return Layer{}, unsupported("create", s.path)
}

// Delete is not supported on this system.
func (s *Store) Delete(context.Context, ...string) (Deletion, error) {
	return Deletion{}, unsupported("delete", s.path)
}

// DeferredDelete is not supported on this system.
func (s *Store) DeferredDelete(context.Context, ...string) (*Receipt, error) {
	return nil, unsupported("delete", s.path)
}

// Finish is not supported on this system.
func (r *Receipt) Finish(context.Context) (Deletion, error) {
	return Deletion{}, unsupported("delete", "")
}

// List is not supported on this system.
func (s *Store) List(context.Context) ([]Layer, error) { return nil, unsupported("list", s.path) }

// Layer is not supported on this system.
func (s *Store) Layer(context.Context, string) (Layer, error) {
	return Layer{}, unsupported("layer", s.path)
}

// Exists is not supported on this system.
func (s *Store) Exists(context.Context, string) (bool, error) {
	return false, unsupported("exists", s.path)
}

// Read is not supported on this system.
func (s *Store) Read(context.Context, string, func(fs.FS) error) error {
	return unsupported("read", s.path)
}

// ReadFile is not supported on this system.
func (s *Store) ReadFile(context.Context, string, string) ([]byte, error) {
	return nil, unsupported("read", s.path)
}

// Path is not supported on this system.
func (s *Store) Path(context.Context, string) (string, error) { return "", unsupported("path", s.path) }

// Mount is not supported on this system.
func (s *Store) Mount(context.Context, string) (string, error) {
	return "", unsupported("mount", s.path)
}

// Unmount is not supported on this system.
func (s *Store) Unmount(context.Context, string) error { return unsupported("unmount", s.path) }

// Save is not supported on this system.
func (s *Store) Save(context.Context, string, map[string]string) error {
	return unsupported("save", s.path)
}

// Load is not supported on this system.
func (s *Store) Load(context.Context) ([]string, error) { return nil, unsupported("load", s.path) }

// Recover is not supported on this system.
func (s *Store) Recover(context.Context) (Report, error) {
	return Report{}, unsupported("recover", s.path)
}

// Maintain is not supported on this system.
func (s *Store) Maintain(context.Context, Maintenance) error {
	return unsupported("maintain", s.path)
}

func unsupported(op, path string) error {
	return &Error{Op: op, Path: path, Effect: NoEffect, Err: errors.ErrUnsupported}
}
