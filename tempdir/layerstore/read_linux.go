package layerstore

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// List returns the layers, parents before their children. What is flagged is no
// layer.
func (s *Store) List(ctx context.Context) (layers []Layer, err error) {
	err = s.shared(ctx, "list", "", func(m *metadata) error {
		for i := range m.Layers {
			if r := &m.Layers[i]; !r.Incomplete {
				layers = append(layers, s.view(r))
			}
		}
		return nil
	})
	return layers, err
}

// Layer returns one layer, or an [ErrLayerUnknown].
func (s *Store) Layer(ctx context.Context, id string) (layer Layer, err error) {
	err = s.withLayer(ctx, "look up", id, func(r *record) error {
		layer = s.view(r)
		return nil
	})
	return layer, err
}

// Exists reports whether there is such a layer.
func (s *Store) Exists(ctx context.Context, id string) (bool, error) {
	_, err := s.Layer(ctx, id)
	if errors.Is(err, ErrLayerUnknown) {
		return false, nil
	}
	return err == nil, err
}

// Path returns the directory of the layer's files. It is good as long as nobody
// deletes the layer: [Store.Mount] keeps others from it.
func (s *Store) Path(ctx context.Context, id string) (path string, err error) {
	err = s.withLayer(ctx, "find", id, func(r *record) (err error) {
		path, err = s.filesOf(r)
		return err
	})
	return path, err
}

// Read calls f with the layer's files, under the store lock for reading: while
// it runs nobody deletes the layer, or any other. In the layout overlay these are
// what the layer itself adds. Paths and links that lead out of the layer are
// refused.
func (s *Store) Read(ctx context.Context, id string, f func(fs.FS) error) error {
	const op = "read"
	return s.withLayer(ctx, op, id, func(r *record) error {
		path, err := s.filesOf(r)
		if err != nil {
			return err
		}
		root, err := os.OpenRoot(path)
		if err != nil {
			return &Error{Op: op, Layer: id, Path: path, Effect: NoEffect, Kind: damaged(path), Err: kernel.BareErrno(err)}
		}
		defer root.Close()
		return f(root.FS())
	})
}

// damaged is ErrDamaged if there is no such directory, and nil if that cannot be
// told: whoever makes damaged layers anew must not do so for want of a descriptor.
func damaged(path string) error {
	switch a, err := os.Stat(path); {
	case err == nil && !a.IsDir(), errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR), errors.Is(err, unix.ELOOP):
		return ErrDamaged
	}
	return nil
}

// ReadFile returns the content of one file of the layer, see [Store.Read]. If the
// layer has no such file, the error matches [fs.ErrNotExist] and not
// [ErrLayerUnknown].
func (s *Store) ReadFile(ctx context.Context, id, name string) (content []byte, err error) {
	err = s.Read(ctx, id, func(files fs.FS) (err error) {
		content, err = fs.ReadFile(files, name)
		if err != nil {
			err = &Error{Op: "read", Layer: id, Path: name, Effect: NoEffect, Err: kernel.BareErrno(err)}
		}
		return err
	})
	return content, err
}

// withLayer calls f with the record of a layer, under the store lock for reading.
func (s *Store) withLayer(ctx context.Context, op, id string, f func(*record) error) error {
	return s.shared(ctx, op, id, func(m *metadata) error {
		r := m.layer(id)
		if r == nil {
			return &Error{Op: op, Layer: id, Effect: NoEffect, Kind: ErrLayerUnknown}
		}
		return f(r)
	})
}

func (s *Store) filesOf(r *record) (string, error) {
	g := s.graphOf(r)
	if g == nil {
		return "", &Error{Op: "find", Layer: r.ID, Effect: NoEffect, Kind: ErrNoImageStore}
	}
	return filepath.Join(g.path, r.driver().Files(r.placed())), nil
}

// view is what callers see of a record.
func (s *Store) view(r *record) Layer {
	layer := r.Layer
	layer.Labels = maps.Clone(r.Labels) // the record's are shared
	layer.Mounts = s.mounts(r)
	return layer
}
