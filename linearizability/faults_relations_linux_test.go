package linearizability

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/internal/seam"
	"github.com/afterlock/afterlock/tempdir/layerstore"
)

// A blind store does not see what others have saved in one field of a record.
type blind struct {
	layerstore.Disk
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
type fullMetadata struct{ layerstore.Disk }

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

// leftHook has no room to move layers aside, and the layer a cannot be found where
// it is.
type leftHook struct{}

func (leftHook) Before(c *seam.Call) error {
	switch {
	case c.Method == seam.StageDeletion:
		return unix.ENOSPC
	case c.Name == "a":
		return unix.ENOENT
	}
	return nil
}

func (leftHook) After(*seam.Call) {}
