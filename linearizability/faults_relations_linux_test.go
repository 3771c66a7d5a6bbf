package linearizability

import (
	"context"
	"os"
	"path/filepath"

	"github.com/afterlock/afterlock/internal/kernel"
	"golang.org/x/sys/unix"
)

// A blind store does not see what others have saved in one field of a record.
type blind struct {
	kernel.Disk
	field string
}

func (d blind) ReadMetadata(path string) ([]byte, error) {
	data, err := d.Disk.ReadMetadata(path)
	if err != nil {
		return data, err
	}
	return rewrite(data, func(record map[string]any) bool {
		delete(record, d.field)
		return true
	}), nil
}

// A fullMetadata disk has no block for metadata.
type fullMetadata struct{ kernel.Disk }

func (fullMetadata) WriteSpare(string, []byte) (int, error) { return -1, unix.ENOSPC }

// A parentless client makes layers on nothing.
type parentless struct{ *client }

func (c parentless) do(ctx context.Context, op *Operation) (Result, string) {
	alone := *op
	alone.Parent = ""
	return c.client.do(ctx, &alone)
}

// A shy recovery says that it had to leave something to others.
type shy struct{ *client }

func (c shy) do(ctx context.Context, op *Operation) (Result, string) {
	r, note := c.client.do(ctx, op)
	if op.Kind == Recover {
		r.Yes = false
	}
	return r, note
}

// A leaver leaves a layer where it is, and says that it deleted it. It puts it back:
// the store takes nobody's word for it that a layer is gone.
type leaver struct{ *client }

func (c leaver) do(ctx context.Context, op *Operation) (Result, string) {
	if op.Kind != Delete {
		return c.client.do(ctx, op)
	}
	path, err := c.store.Path(ctx, op.Layers[0])
	if err != nil {
		return c.client.do(ctx, op)
	}
	kept := filepath.Join(filepath.Dir(c.Dir), "kept")
	defer os.RemoveAll(kept)
	if err := os.CopyFS(kept, os.DirFS(path)); err != nil {
		return Result{Outcome: Failed}, err.Error()
	}
	r, note := c.client.do(ctx, op)
	if err := os.CopyFS(path, os.DirFS(kept)); err != nil {
		return Result{Outcome: Failed}, err.Error()
	}
	return r, note
}
