package linearizability

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/afterlock/afterlock/tempdir"
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

// A leftKernel has no room to move layers aside, and removes nothing of the layer a
// where it is, but says that it did: an errno would not be believed.
type leftKernel struct{ tempdir.Kernel }

func (leftKernel) StageDeletion(string, int, string) error { return unix.ENOSPC }

func (leftKernel) RemoveEntry(int, string) error     { return nil }
func (leftKernel) RemoveDirectory(int, string) error { return nil }

func (k leftKernel) RemoveData(root int, name string) error {
	if name == "a" {
		return nil
	}
	return k.Kernel.RemoveData(root, name)
}
