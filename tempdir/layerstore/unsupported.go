//go:build !linux

package layerstore

import (
	"context"
	"errors"
	"io/fs"
)

// A Store is a handle on one layer store. On this system it cannot be opened, so that
// nobody can call its methods.
type Store struct{ storeMethods }

type storeMethods interface {
	Close() error
	Create(context.Context, Layer, Content) (Layer, error)
	Delete(ctx context.Context, ids ...string) (Deletion, error)
	DeferredDelete(ctx context.Context, ids ...string) (*Receipt, error)
	List(context.Context) ([]Layer, error)
	Layer(ctx context.Context, id string) (Layer, error)
	Exists(ctx context.Context, id string) (bool, error)
	Read(ctx context.Context, id string, read func(fs.FS) error) error
	ReadFile(ctx context.Context, id, name string) ([]byte, error)
	Path(ctx context.Context, id string) (string, error)
	Mount(ctx context.Context, id string) (string, error)
	Unmount(ctx context.Context, id string) error
	Save(ctx context.Context, id string, labels map[string]string) error
	Load(context.Context) ([]string, error)
	Recover(context.Context) (Report, error)
	Maintain(context.Context, Maintenance) error
	MaybeDirty() bool
}

// A Receipt is a deletion that took effect and whose data is still to be
// removed. On this system there are none.
type Receipt struct{ receiptMethods }

type receiptMethods interface {
	Finish(context.Context) (Deletion, error)
}

// Open returns an error that matches [errors.ErrUnsupported].
func Open(path string, _ ...Option) (*Store, error) {
	return nil, &Error{Op: "open", Path: path, Effect: NoEffect, Err: errors.ErrUnsupported}
}
